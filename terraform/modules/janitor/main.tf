# The janitor: a schedule that starts a task. Two task definitions with a role each: scan can only read, and write what it
# remembers; sweep can also delete images of repositories that carry a tag. permissions.tf says what they may do, alarms.tf
# when somebody is told.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.region

  kms_key_arn      = var.state == null ? module.key[0].arn : var.state.kms_key_arn
  state_bucket     = var.state == null ? module.state[0].name : var.state.bucket
  state_bucket_arn = "arn:${local.partition}:s3:::${local.state_bucket}"

  verb = var.sweep ? "sweep" : "scan"

  # A plan, and not a mere scan: it says what would go and why, and begins to count how long an image has been unused.
  commands = {
    scan  = ["plan"]
    sweep = ["sweep", "--yes"]
  }
}

# -- State -------------------------------------------------------------------------------------------------------------

module "key" {
  source = "../internal/key"
  count  = var.state == null ? 1 : 0

  name        = var.name
  description = "${var.name}: state and logs"
  tags        = var.tags
}

module "state" {
  source = "../internal/bucket"
  count  = var.state == null ? 1 : 0

  prefix      = "${var.name}-state"
  kms_key_arn = local.kms_key_arn
  tags        = var.tags
}

# -- The task ----------------------------------------------------------------------------------------------------------

module "task" {
  source = "../internal/task"

  name               = var.name
  image              = var.image
  cpu                = var.cpu
  memory             = var.memory
  vpc_id             = var.vpc_id
  kms_key_arn        = local.kms_key_arn
  log_retention_days = var.log_retention_days
  tags               = var.tags

  definitions = {
    for verb, command in local.commands : verb => {
      family  = "${var.name}-${verb}"
      policy  = data.aws_iam_policy_document.task[verb].json
      command = command
      environment = {
        AWS_REGION          = local.region
        COALMINE_LOG_FORMAT = "json"
        COALMINE_METRICS    = "true"
        # The container's file system holds nothing but the program, so the policy comes as text.
        COALMINE_POLICY_TEXT = var.policy
        COALMINE_STATE       = "s3://${local.state_bucket}/${var.state_prefix}"
      }
    }
  }
}

# -- The schedule ------------------------------------------------------------------------------------------------------

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
  tags = var.tags
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:The schedule holds a cluster, a task definition and subnets, nothing that is secret.
  name                         = var.name
  group_name                   = aws_scheduler_schedule_group.this.name
  description                  = "Starts ${var.name} to ${local.verb}"
  schedule_expression          = var.schedule_expression
  schedule_expression_timezone = var.schedule_timezone

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }

  target {
    arn      = var.cluster_arn
    role_arn = aws_iam_role.schedule.arn

    ecs_parameters {
      task_definition_arn = module.task.task_definition_arns[local.verb]
      launch_type         = "FARGATE"
      task_count          = 1
      propagate_tags      = "TASK_DEFINITION"

      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = [module.task.security_group_id]
        assign_public_ip = var.assign_public_ip
      }
    }

    # A run that is late by hours is not worth two at once; the next day's will do.
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 3
    }
  }
}
