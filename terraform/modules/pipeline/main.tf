# The pipeline of one class: Source → Approve { Plan, Approve } → Release { Canary, Approve, Full }.
#
# One stage holds the canary, the second approval and the full service, because stages are what CodePipeline locks: no
# second release can overwrite the canary that somebody is judging. The first approval stands in a stage before, where
# only the newest release waits (SUPERSEDED), with a plan beside it: the canary's own action, told to say what it would do
# instead of doing it. No stage rolls back by itself: the worker undoes what it did, and a second
# automatic deployment would fight it.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  contract = jsondecode(file("${path.module}/../../../pipeline/contract.json"))

  # The newest version of each action type, which is what new pipelines use.
  versions = { for provider, versions in {
    for type in local.contract.actionTypes : type.definition.provider => tonumber(type.definition.version)...
  } : provider => tostring(max(versions...)) }

  # The keys of Options that each action type knows; `image.<container>` stands for one per container.
  known_options = { for type in local.contract.actionTypes : type.definition.provider => [for option in type.coalmine.options : option.name]... }

  source_key = "${var.class}/imagedefinitions.zip"

  # With one pair the actions are called Plan, Canary and Full; with several, each is called after its pair.
  single = length(var.services) == 1
  names = { for key in keys(var.services) : key => {
    plan      = local.single ? "Plan" : "Plan-${key}"
    canary    = local.single ? "Canary" : "Canary-${key}"
    full      = local.single ? "Full" : "Full-${key}"
    plan_vars = local.single ? "plan" : "plan-${key}"
    namespace = local.single ? "canary" : "canary-${key}"
    full_vars = local.single ? "full" : "full-${key}"
  } }

  planned  = var.plan ? var.services : {}
  question = "Deploy this release of ${var.class} to the canary?"
  plans    = [for key in keys(local.planned) : "#{${local.names[key].plan_vars}.Summary}"]

  # What people are shown at the first approval, and at the second.
  prospect = join(" ", concat([local.question], local.plans))
  evidence = join(" ", [for key in keys(var.services) : "#{${local.names[key].namespace}.Summary}"])

  options = {
    plan   = join(", ", [for key, value in merge(var.canary_options, { mode = "plan" }) : "${key}=${value}"])
    canary = join(", ", [for key, value in var.canary_options : "${key}=${value}"])
    full   = join(", ", [for key, value in var.full_options : "${key}=${value}"])
  }

  # A plan is made with everything that the canary will be deployed with, so that it cannot promise something else.
  canary = { for key, pair in var.services : key => {
    Pool           = var.pool
    Cluster        = pair.cluster
    Service        = pair.canary_service
    FullService    = pair.service
    Capacity       = pair.canary_capacity
    BakeTime       = var.canary_bake_time
    Alarms         = join(",", pair.canary_alarms)
    TemplateFamily = pair.template_family
  } }

  approval = { for key, value in {
    NotificationArn    = module.base.approvals_topic_arn
    ExternalEntityLink = var.review_url
  } : key => value if value != null }
}

resource "aws_codepipeline" "this" {
  name           = var.class
  role_arn       = module.base.role_arn
  pipeline_type  = "V2"
  execution_mode = "SUPERSEDED"

  artifact_store {
    location = module.base.artifact_bucket
    type     = "S3"

    encryption_key {
      id   = module.base.key_arn
      type = "KMS"
    }
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
      output_artifacts = ["images"]

      configuration = {
        S3Bucket             = var.source_bucket
        S3ObjectKey          = local.source_key
        PollForSourceChanges = "false"
      }
    }
  }

  stage {
    name = "Approve"

    dynamic "action" {
      for_each = local.planned

      content {
        name            = local.names[action.key].plan
        namespace       = local.names[action.key].plan_vars
        run_order       = 1
        category        = "Deploy"
        owner           = "Custom"
        provider        = "Coalmine-Canary"
        version         = local.versions["Coalmine-Canary"]
        input_artifacts = ["images"]

        configuration = { for property, value in merge(local.canary[action.key], {
          Options = local.options.plan
        }) : property => value if value != "" }
      }
    }

    action {
      name               = "Approve"
      run_order          = var.plan ? 2 : 1
      category           = "Approval"
      owner              = "AWS"
      provider           = "Manual"
      version            = "1"
      timeout_in_minutes = var.approval_timeout_minutes
      configuration      = merge(local.approval, { CustomData = local.prospect })
    }
  }

  stage {
    name = "Release"

    dynamic "action" {
      for_each = var.services

      content {
        name            = local.names[action.key].canary
        namespace       = local.names[action.key].namespace
        run_order       = 1
        category        = "Deploy"
        owner           = "Custom"
        provider        = "Coalmine-Canary"
        version         = local.versions["Coalmine-Canary"]
        input_artifacts = ["images"]

        configuration = { for property, value in merge(local.canary[action.key], {
          Options = local.options.canary
        }) : property => value if value != "" }
      }
    }

    action {
      name               = "Approve"
      run_order          = 2
      category           = "Approval"
      owner              = "AWS"
      provider           = "Manual"
      version            = "1"
      timeout_in_minutes = var.approval_timeout_minutes
      configuration      = merge(local.approval, { CustomData = local.evidence })
    }

    dynamic "action" {
      for_each = var.services

      content {
        name            = local.names[action.key].full
        namespace       = local.names[action.key].full_vars
        run_order       = 3
        category        = "Deploy"
        owner           = "Custom"
        provider        = "Coalmine-Full"
        version         = local.versions["Coalmine-Full"]
        input_artifacts = ["images"]

        configuration = { for property, value in {
          Pool           = var.pool
          Cluster        = action.value.cluster
          Service        = action.value.service
          CanaryService  = action.value.canary_service
          TemplateFamily = action.value.template_family
          Batch          = "${var.batch_percent}%"
          BakeTime       = var.full_bake_time
          Alarms         = join(",", action.value.full_alarms)
          Options        = local.options.full
        } : property => value if value != "" }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.evidence) <= 1000 && length(local.prospect) <= 1000
      error_message = "Put fewer or shorter names into services: the approvals' texts refer to all of them, and CodePipeline takes 1,000 characters."
    }
  }
}

# -- what starts it --------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_event_rule" "source" {
  name        = "${var.class}-release"
  description = "A build uploaded a release of ${var.class}"

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [var.source_bucket] }
      object = { key = [local.source_key] }
    }
  })
}

resource "aws_cloudwatch_event_target" "pipeline" {
  rule      = aws_cloudwatch_event_rule.source.name
  target_id = "pipeline"
  arn       = aws_codepipeline.this.arn
  role_arn  = aws_iam_role.trigger.arn

  # Exactly the version that was uploaded, also when the next one follows at once.
  input_transformer {
    input_paths = { version = "$.detail.object.version-id" }
    # Written out: jsonencode would escape the angle brackets, and EventBridge would not see its own variable.
    input_template = <<-JSON
      {"sourceRevisions": [{"actionName": "Source", "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": "<version>"}]}
    JSON
  }
}

# -- what it stands on: its key, its artifacts, the approvals' topic, its role -----------------------------------------

module "base" {
  source = "../internal/pipeline"

  name               = var.class
  source_bucket      = var.source_bucket
  source_key         = local.source_key
  source_kms_key_arn = var.source_kms_key_arn
  artifact_days      = var.artifact_days
  approvers          = var.approvers
}
