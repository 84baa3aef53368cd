# -- the pipeline's role: the source, the artifacts, the topic ---------------------------------------------------------

data "aws_iam_policy_document" "assume" {
  for_each = {
    pipeline = { service = "codepipeline.amazonaws.com", source = "arn:${data.aws_partition.current.partition}:codepipeline:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:${var.class}" }
    trigger  = { service = "events.amazonaws.com", source = "arn:${data.aws_partition.current.partition}:events:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:rule/${var.class}-release" }
  }

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = [each.value.service]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [each.value.source]
    }
  }
}

resource "aws_iam_role" "pipeline" {
  name               = "${var.class}-pipeline"
  assume_role_policy = data.aws_iam_policy_document.assume["pipeline"].json
}

data "aws_iam_policy_document" "pipeline" {
  statement {
    sid       = "SourceBucket"
    actions   = ["s3:GetBucketVersioning"]
    resources = [var.source_bucket.arn]
  }

  statement {
    sid       = "Source"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${var.source_bucket.arn}/${local.source_key}"]
  }

  statement {
    sid       = "ArtifactBucket"
    actions   = ["s3:GetBucketVersioning"]
    resources = [aws_s3_bucket.artifacts.arn]
  }

  # Also what the worker reads artifacts with: CodePipeline derives the credentials of each job from this role.
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/*"]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }

  dynamic "statement" {
    for_each = compact([var.source_bucket.kms_key_arn])

    content {
      sid       = "SourceKey"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "Ask"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.approvals.arn]
  }
}

resource "aws_iam_role_policy" "pipeline" {
  name   = "pipeline"
  role   = aws_iam_role.pipeline.name
  policy = data.aws_iam_policy_document.pipeline.json
}

# -- the rule's role: starting the pipeline ------------------------------------------------------------------------------

resource "aws_iam_role" "trigger" {
  name               = "${var.class}-release-trigger"
  assume_role_policy = data.aws_iam_policy_document.assume["trigger"].json
}

data "aws_iam_policy_document" "trigger" {
  statement {
    actions   = ["codepipeline:StartPipelineExecution"]
    resources = [aws_codepipeline.this.arn]
  }
}

resource "aws_iam_role_policy" "trigger" {
  name   = "start"
  role   = aws_iam_role.trigger.name
  policy = data.aws_iam_policy_document.trigger.json
}
