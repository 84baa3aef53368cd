# One button to return services to an earlier release: Source → Approve → Rollback.
#
# An execution says what goes back and how far by its variables, so nobody changes the pipeline in a hurry. CodePipeline
# wants a source before everything else: any object that is there will do, for nothing of it is read.

locals {
  contract = jsondecode(file("${path.module}/../../../pipeline/contract.json"))
  types    = [for type in local.contract.actionTypes : type if type.definition.provider == "Coalmine-Rollback"]

  # The newest version of the action type, and the keys of Options that it knows; <service> stands for one per service.
  version       = tostring(max([for type in local.types : tonumber(type.definition.version)]...))
  known_options = distinct(flatten([for type in local.types : type.coalmine.options[*].name]))
}

resource "aws_codepipeline" "this" {
  name          = var.name
  role_arn      = module.base.role_arn
  pipeline_type = "V2"
  # One after another, and none is dropped for a newer one: each was started by somebody for a reason.
  execution_mode = "QUEUED"
  tags           = var.tags

  artifact_store {
    location = module.base.artifact_bucket
    type     = "S3"

    encryption_key {
      id   = module.base.key_arn
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
        NotificationArn = module.base.approvals_topic_arn
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
}

# -- what it stands on: its key, its artifacts, the approvals' topic, its role -----------------------------------------

module "base" {
  source = "../internal/pipeline"

  name               = var.name
  source_bucket      = var.source_bucket
  source_key         = var.source_key
  source_kms_key_arn = var.source_kms_key_arn
  approvers          = var.approvers
  tags               = var.tags
}

# -- whoever may press the button --------------------------------------------------------------------------------------

data "aws_iam_policy_document" "start" {
  statement {
    sid       = "Start"
    actions   = ["codepipeline:StartPipelineExecution"]
    resources = [module.base.arn]
  }
}
