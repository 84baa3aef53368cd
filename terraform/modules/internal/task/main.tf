# What a program of ours needs to run on Fargate: task definitions with a role each, one execution role, one log group,
# and a security group that lets nothing in.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.region

  log_group_arn = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${var.name}"

  # Where the image comes from; null where that is not Amazon ECR.
  ecr            = try(regex("^(?P<account>[0-9]{12})\\.dkr[.-]ecr(?:-fips)?\\.(?P<region>[a-z0-9-]+)\\.[a-z.-]+/(?P<repository>[^:@]+)[:@]", var.image), null)
  repository_arn = local.ecr == null ? null : "arn:${local.partition}:ecr:${local.ecr.region}:${local.ecr.account}:repository/${local.ecr.repository}"
}

# -- Task definitions --------------------------------------------------------------------------------------------------

resource "aws_ecs_task_definition" "this" {
  for_each = var.definitions

  family                   = each.value.family
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task[each.key].arn
  tags                     = var.tags

  runtime_platform {
    cpu_architecture        = "ARM64"
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode([merge(
    {
      name                   = var.name
      image                  = var.image
      essential              = true
      command                = each.value.command
      environment            = [for key in sort(keys(each.value.environment)) : { name = key, value = each.value.environment[key] }]
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { add = [], drop = ["ALL"] } }
      portMappings           = []
      mountPoints            = []
      volumesFrom            = []
      systemControls         = []
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.this.name
          awslogs-region        = local.region
          awslogs-stream-prefix = each.key
          # Logs that cannot be delivered must not hold the program up.
          mode            = "non-blocking"
          max-buffer-size = "4m"
        }
      }
    },
    each.value.stop_timeout == null ? {} : { stopTimeout = each.value.stop_timeout },
    each.value.health_check == null ? {} : {
      healthCheck = { command = concat(["CMD"], each.value.health_check), interval = 10, timeout = 5, retries = 3, startPeriod = 30 }
    },
  )])
}

resource "aws_cloudwatch_log_group" "this" {
  name              = var.name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:It is the group of the service or of the scheduled task, in the module that calls this one.
  name        = var.name
  description = "${var.name}: nothing in, HTTPS out"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "The AWS APIs"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

# -- Roles -------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "task" {
  for_each = var.definitions

  name               = "${each.value.family}-task"
  description        = "What ${each.value.family} may do"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  #checkov:skip=CKV_AWS_355:Some calls of ECS, CloudWatch and CodePipeline know no resource; the permissions of the calling module say which.
  for_each = var.definitions

  name   = "calls"
  role   = aws_iam_role.task[each.key].name
  policy = each.value.policy
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "What ECS needs to start ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.name
  policy = data.aws_iam_policy_document.execution.json
}

data "aws_iam_policy_document" "execution" {
  #checkov:skip=CKV_AWS_356:GetAuthorizationToken knows no resource.
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.log_group_arn}:log-stream:*"]
  }

  dynamic "statement" {
    for_each = local.repository_arn == null ? [] : [local.repository_arn]

    content {
      sid       = "Pull"
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.repository_arn == null ? [] : [1]

    content {
      sid       = "Login"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }
}
