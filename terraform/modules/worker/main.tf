# The workers: action types, ledger, and a service on Fargate. permissions.tf says what they may do, alarms.tf when
# somebody is told that something is wrong with them, events.tf who is told of releases.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.region

  kms_key_arn = var.kms_key == null ? module.key[0].arn : var.kms_key.arn
}

# -- Action types ------------------------------------------------------------------------------------------------------

locals {
  contract = jsondecode(file("${path.module}/../../../pipeline/contract.json"))

  definitions = {
    for type in local.contract.actionTypes : "${type.definition.provider}/${type.definition.version}" => type.definition
  }

  # Pipelines use the newest version; workers poll every one.
  action_types = {
    for provider in distinct([for definition in local.definitions : definition.provider]) : provider => {
      category = one(distinct([for definition in local.definitions : definition.category if definition.provider == provider]))
      owner    = "Custom"
      provider = provider
      version  = tostring(max([for definition in local.definitions : tonumber(definition.version) if definition.provider == provider]...))
    }
  }
}

# AWS cannot change an action type: what differs from what exists needs a new version, which contract.json then has.
resource "aws_codepipeline_custom_action_type" "this" {
  for_each = var.create_action_types ? local.definitions : {}

  category      = each.value.category
  provider_name = each.value.provider
  version       = each.value.version
  tags          = var.tags

  settings {
    entity_url_template    = each.value.settings.entityUrlTemplate
    execution_url_template = each.value.settings.executionUrlTemplate
  }

  dynamic "configuration_property" {
    for_each = each.value.configurationProperties

    content {
      name        = configuration_property.value.name
      required    = configuration_property.value.required
      key         = configuration_property.value.key
      secret      = configuration_property.value.secret
      queryable   = configuration_property.value.queryable
      description = configuration_property.value.description
      type        = configuration_property.value.type
    }
  }

  input_artifact_details {
    minimum_count = each.value.inputArtifactDetails.minimumCount
    maximum_count = each.value.inputArtifactDetails.maximumCount
  }

  output_artifact_details {
    minimum_count = each.value.outputArtifactDetails.minimumCount
    maximum_count = each.value.outputArtifactDetails.maximumCount
  }
}

# -- Ledger ------------------------------------------------------------------------------------------------------------

module "key" {
  source = "../internal/key"
  count  = var.kms_key == null ? 1 : 0

  name        = var.name
  description = "${var.name}: ledger, logs and the topic of releases"
  publishers  = ["events.amazonaws.com"]
  tags        = var.tags
}

# No expiry: a worker whose object vanishes takes itself for replaced.
module "ledger" {
  source = "../internal/bucket"

  prefix      = "${var.name}-ledger"
  kms_key_arn = local.kms_key_arn
  # An object is renewed every ten seconds while there are jobs, and nobody reads the former versions.
  noncurrent_days = 1
  tags            = var.tags
}

# -- The service -------------------------------------------------------------------------------------------------------

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
    worker = {
      family  = var.name
      policy  = data.aws_iam_policy_document.task.json
      command = ["run"]
      environment = {
        AWS_REGION          = local.region
        COALMINE_JOBS       = tostring(var.jobs)
        COALMINE_LEDGER     = "s3://${module.ledger.name}/${var.ledger_prefix}"
        COALMINE_LINGER     = var.linger
        COALMINE_LISTEN     = "127.0.0.1:8080"
        COALMINE_LOG        = var.log_filter
        COALMINE_LOG_FORMAT = "json"
        COALMINE_POOL       = var.pool
      }
      health_check = ["/coalmine-worker", "health"]
      # On SIGTERM a worker hands its jobs back and leaves within ten seconds; this is twice that.
      stop_timeout = 20
    }
  }
}

resource "aws_ecs_service" "this" {
  #checkov:skip=CKV_AWS_333:A public address only where assign_public_ip says so, for subnets without a NAT gateway; the security group lets nothing in.
  name            = var.name
  cluster         = var.cluster_arn
  task_definition = module.task.task_definition_arns["worker"]
  desired_count   = var.desired_count
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"
  tags            = var.tags

  # A new worker takes jobs before an old one hands its own back.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  availability_zone_rebalancing      = "ENABLED"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [module.task.security_group_id]
    assign_public_ip = var.assign_public_ip
  }

  # Workers that poll for types that do not exist are refused every time.
  depends_on = [aws_codepipeline_custom_action_type.this]
}
