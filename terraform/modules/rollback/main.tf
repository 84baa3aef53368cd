# One button to return services to an earlier release: Source → Approve → Rollback.
#
# An execution says what goes back and how far by its variables, so nobody changes the pipeline in a hurry. CodePipeline
# wants a source before everything else: any object that is there will do, for nothing of it is read.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  contract = jsondecode(file("${path.module}/../../../pipeline/contract.json"))
  types    = [for type in local.contract.actionTypes : type if type.definition.provider == "Coalmine-Rollback"]

  # The newest version of the action type, and the keys of Options that it knows; <service> stands for one per service.
  version       = tostring(max([for type in local.types : tonumber(type.definition.version)]...))
  known_options = distinct(flatten([for type in local.types : type.coalmine.options[*].name]))
}

resource "aws_codepipeline" "this" {
  name          = var.name
  role_arn      = aws_iam_role.pipeline.arn
  pipeline_type = "V2"
  # One after another, and none is dropped for a newer one: each was started by somebody for a reason.
  execution_mode = "QUEUED"
  tags           = var.tags

  artifact_store {
    location = module.artifacts.name
    type     = "S3"

    encryption_key {
      id   = module.key.arn
      type = "KMS"
    }
  }

  variable {
    name          = "services"
    default_value = join(",", var.services)
    description   = "The full services to return, separated by commas. Their canaries go with them."
  }

  variable {
    name          = "to"
    default_value = "last"
    description   = "last: the last release that succeeded on each service before the present one; -2: the one before; or a release's id."
  }

  stage {
    name = "Source"

    action {
      name             = "Source"
      run_order        = 1
      category         = "Source"
      owner            = "AWS"
      provider         = "S3"
      version          = "1"
      output_artifacts = ["nothing"]

      configuration = {
        S3Bucket             = var.source_bucket
        S3ObjectKey          = var.source_key
        PollForSourceChanges = "false"
      }
    }
  }

  stage {
    name = "Approve"

    action {
      name               = "Approve"
      run_order          = 1
      category           = "Approval"
      owner              = "AWS"
      provider           = "Manual"
      version            = "1"
      timeout_in_minutes = var.approval_timeout_minutes

      configuration = {
        NotificationArn = local.topic_arn
        CustomData      = "Return #{variables.services} to #{variables.to}?"
      }
    }
  }

  stage {
    name = "Rollback"

    action {
      name      = "Rollback"
      namespace = "rollback"
      run_order = 1
      category  = "Deploy"
      owner     = "Custom"
      provider  = "Coalmine-Rollback"
      version   = local.version

      configuration = { for property, value in {
        Pool     = var.pool
        Cluster  = var.cluster
        Services = "#{variables.services}"
        To       = "#{variables.to}"
        Options  = join(", ", [for key, value in var.options : "${key}=${value}"])
      } : property => value if value != "" }
    }
  }

  depends_on = [aws_iam_role_policy.pipeline, aws_sns_topic.approvals]
}

# -- what goes through it --------------------------------------------------------------------------------------------

module "key" {
  source = "../internal/key"

  name        = "${var.name}-pipeline"
  description = "Artifacts and approvals of pipeline ${var.name}"
  tags        = var.tags
}

module "artifacts" {
  source = "../internal/bucket"

  prefix          = "${var.name}-artifacts"
  kms_key_arn     = module.key.arn
  noncurrent_days = 7
  tags            = var.tags
}

# -- who is asked ----------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "approvals" {
  name              = "${var.name}-approvals"
  kms_master_key_id = module.key.arn
  tags              = var.tags
}

resource "aws_sns_topic_subscription" "approver" {
  for_each = toset(var.approvers)

  topic_arn = aws_sns_topic.approvals.arn
  protocol  = "email"
  endpoint  = each.value
}
