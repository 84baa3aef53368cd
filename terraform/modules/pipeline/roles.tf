# -- the pipeline's role: the source, the artifacts, the topic ---------------------------------------------------------

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # Put together from names, so that a plan shows whole policies.
  pipeline_arn      = "arn:${local.partition}:codepipeline:${local.region}:${local.account}:${var.class}"
  rule_arn          = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${var.class}-release"
  topic_arn         = "arn:${local.partition}:sns:${local.region}:${local.account}:${var.class}-approvals"
  source_bucket_arn = "arn:${local.partition}:s3:::${var.source_bucket}"
}

data "aws_iam_policy_document" "assume" {
  for_each = {
    pipeline = { service = "codepipeline.amazonaws.com", source = local.pipeline_arn }
    trigger  = { service = "events.amazonaws.com", source = local.rule_arn }
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
      values   = [local.account]
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
    resources = [local.source_bucket_arn]
  }

  statement {
    sid       = "Source"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.source_bucket_arn}/${local.source_key}"]
  }

  statement {
    sid       = "ArtifactBucket"
    actions   = ["s3:GetBucketVersioning"]
    resources = [module.artifacts.arn]
  }

  # Also what the worker reads artifacts with: CodePipeline derives the credentials of each job from this role.
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${module.artifacts.arn}/*"]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }

  dynamic "statement" {
    for_each = compact([var.source_kms_key_arn])

    content {
      sid       = "SourceKey"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "Ask"
    actions   = ["sns:Publish"]
    resources = [local.topic_arn]
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
    resources = [local.pipeline_arn]
  }
}

resource "aws_iam_role_policy" "trigger" {
  name   = "start"
  role   = aws_iam_role.trigger.name
  policy = data.aws_iam_policy_document.trigger.json
}
