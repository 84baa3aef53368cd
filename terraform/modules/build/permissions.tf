# What the build may do, and what the pipeline that starts it.

data "aws_iam_policy_document" "assume" {
  for_each = toset(["codebuild", "codepipeline"])

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["${each.value}.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

# -- The build ---------------------------------------------------------------------------------------------------------

resource "aws_iam_role" "build" {
  name               = "${var.name}-build"
  description        = "What a build of ${var.source_repository} may do"
  assume_role_policy = data.aws_iam_policy_document.assume["codebuild"].json
  tags               = var.tags
}

resource "aws_iam_role_policy" "build" {
  name   = "build"
  role   = aws_iam_role.build.name
  policy = data.aws_iam_policy_document.build.json
}

data "aws_iam_policy_document" "build" {
  #checkov:skip=CKV_AWS_356:GetAuthorizationToken knows no resource.
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/codebuild/${var.name}:log-stream:*"]
  }

  statement {
    sid       = "Commit"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${module.artifacts.arn}/*"]
  }

  statement {
    sid       = "Login"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  # Pushing, and reading back what was pushed. There is no permission to delete, so a tag cannot be made free again.
  statement {
    sid = "Images"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:CompleteLayerUpload",
      "ecr:DescribeImages",
      "ecr:GetDownloadUrlForLayer",
      "ecr:InitiateLayerUpload",
      "ecr:PutImage",
      "ecr:UploadLayerPart",
    ]
    resources = [for repository in aws_ecr_repository.this : repository.arn]
  }

  dynamic "statement" {
    for_each = length(var.classes) == 0 ? [] : [1]

    content {
      sid       = "StartPipelines"
      actions   = ["s3:PutObject"]
      resources = [for class in var.classes : "${module.source.arn}/${class}/imagedefinitions.zip"]
    }
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.amazonaws.com"]
    }
  }
}

# -- The pipeline ------------------------------------------------------------------------------------------------------

resource "aws_iam_role" "pipeline" {
  name               = "${var.name}-pipeline"
  description        = "What the pipeline that builds ${var.source_repository} may do"
  assume_role_policy = data.aws_iam_policy_document.assume["codepipeline"].json
  tags               = var.tags
}

resource "aws_iam_role_policy" "pipeline" {
  name   = "pipeline"
  role   = aws_iam_role.pipeline.name
  policy = data.aws_iam_policy_document.pipeline.json
}

data "aws_iam_policy_document" "pipeline" {
  # The service has two names, and a connection's ARN may carry either.
  statement {
    sid       = "Commits"
    actions   = ["codeconnections:UseConnection", "codestar-connections:UseConnection"]
    resources = [local.connection_arn]
  }

  statement {
    sid       = "Builds"
    actions   = ["codebuild:BatchGetBuilds", "codebuild:StartBuild"]
    resources = [aws_codebuild_project.this.arn]
  }

  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${module.artifacts.arn}/*"]
  }

  statement {
    sid       = "ArtifactBucket"
    actions   = ["s3:GetBucketVersioning", "s3:ListBucket"]
    resources = [module.artifacts.arn]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.amazonaws.com"]
    }
  }
}
