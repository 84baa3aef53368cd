# One application's pair: a canary service and a full service.
#
# Terraform owns the shape: everything below, and the newest revision of NAME-template. The worker owns what runs: it
# copies the template into the families NAME and NAME-canary with a release's images, and points the services there.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  container = coalesce(var.container.name, var.name)
  balanced  = var.load_balancer != null
  surge     = var.turnover == "surge"

  # A share is of both services together, so that canary / (canary + full) is the share from the first day on.
  is_share     = endswith(var.canary_capacity, "%")
  share        = local.is_share ? try(tonumber(trimsuffix(var.canary_capacity, "%")), 0) : 0
  canary_tasks = local.is_share ? max(1, floor(var.tasks * local.share / (100 - local.share) + 0.5)) : try(tonumber(var.canary_capacity), 1)

  pair = {
    full   = { name = var.name, tasks = var.tasks }
    canary = { name = "${var.name}-canary", tasks = local.canary_tasks }
  }

  # Nobody pushes this tag: what runs is always a release's image.
  unreleased_image = "${var.repository.repository_url}:unreleased"

  definition = {
    name                   = local.container
    image                  = local.unreleased_image
    essential              = true
    command                = var.container.command
    user                   = var.container.user
    readonlyRootFilesystem = var.container.read_only_root_filesystem
    stopTimeout            = var.container.stop_timeout
    portMappings           = var.container.port == null ? [] : [{ containerPort = var.container.port, hostPort = var.container.port, protocol = "tcp" }]
    environment            = [for name, value in var.container.variables : { name = name, value = value }]
    secrets                = [for name, arn in merge(var.container.secrets, var.container.parameters) : { name = name, valueFrom = arn }]
    healthCheck = var.container.health_check == null ? null : {
      command     = var.container.health_check.command
      interval    = var.container.health_check.interval
      timeout     = var.container.health_check.timeout
      retries     = var.container.health_check.retries
      startPeriod = var.container.health_check.start_period
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = local.region
        awslogs-stream-prefix = var.name
      }
    }
  }

  container_definitions = jsonencode(concat([{ for key, value in local.definition : key => value if value != null }], var.sidecars))
}

# -- task definitions ------------------------------------------------------------------------------------------------

# The template. The worker takes its newest revision, so a change here reaches the services with the next release.
resource "aws_ecs_task_definition" "template" {
  #checkov:skip=CKV_AWS_336:the root file system is read-only unless container.read_only_root_filesystem says otherwise
  #checkov:skip=CKV_AWS_249:task role and execution role are two roles
  family                   = "${var.name}-template"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.this["task"].arn
  execution_role_arn       = aws_iam_role.this["execution"].arn
  container_definitions    = local.container_definitions

  # A release that is being judged was made from a revision of this family: it has to stay ACTIVE.
  skip_destroy = true

  runtime_platform {
    cpu_architecture        = var.cpu_architecture
    operating_system_family = "LINUX"
  }
}

# The first revisions of the running families, because a service cannot be made without one. Every later revision is
# the worker's, so nothing that changes in the template changes these.
resource "aws_ecs_task_definition" "first" {
  for_each = local.pair

  family                   = each.value.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.this["task"].arn
  execution_role_arn       = aws_iam_role.this["execution"].arn
  container_definitions    = local.container_definitions
  skip_destroy             = true

  runtime_platform {
    cpu_architecture        = var.cpu_architecture
    operating_system_family = "LINUX"
  }

  lifecycle {
    ignore_changes = all
  }
}

# -- the two services ------------------------------------------------------------------------------------------------

resource "aws_ecs_service" "this" {
  #checkov:skip=CKV_AWS_333:tasks have public addresses only where assign_public_ip says so, for subnets without a NAT gateway; nothing may reach them but the load balancer
  for_each = local.pair

  name            = each.value.name
  cluster         = var.cluster_name
  task_definition = aws_ecs_task_definition.first[each.key].arn
  desired_count   = each.value.tasks
  launch_type     = "FARGATE"

  # What holds outside of a release. During one the worker sets percents that move exactly one batch, and gives these
  # back at its end.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  # ECS rebalances only where tasks may surge, and with it refuses a maximum of 100 percent.
  availability_zone_rebalancing = local.surge ? "ENABLED" : "DISABLED"

  health_check_grace_period_seconds = local.balanced ? var.load_balancer.health_check_grace : null
  enable_ecs_managed_tags           = true
  propagate_tags                    = "SERVICE"

  # Beside the worker, not instead of it: when ECS gives up first, the worker follows its rollback. A threshold of one
  # failed task (type COUNT) would suit the canary; the provider cannot express thresholds yet.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = concat([aws_security_group.this.id], var.security_group_ids)
    assign_public_ip = var.assign_public_ip
  }

  dynamic "load_balancer" {
    for_each = local.balanced ? [local.target_group_of[each.key]] : []

    content {
      target_group_arn = load_balancer.value
      container_name   = local.container
      container_port   = var.container.port
    }
  }

  lifecycle {
    # Exactly what the worker and autoscaling write.
    ignore_changes = [
      task_definition,
      desired_count,
      deployment_minimum_healthy_percent,
      deployment_maximum_percent,
    ]
  }

  # ECS registers targets only with a group that a listener uses; tasks need their permissions to start.
  depends_on = [aws_lb_listener_rule.this, aws_iam_role_policy.execution, aws_iam_role_policy.task]
}

# -- their size ------------------------------------------------------------------------------------------------------

# Terraform ignores the services' desired counts, so the number of tasks is said here: without autoscaling, minimum and
# maximum are the same, and Application Auto Scaling keeps the service there.
resource "aws_appautoscaling_target" "full" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster_name}/${aws_ecs_service.this["full"].name}"
  min_capacity       = var.autoscaling == null ? var.tasks : var.autoscaling.min
  max_capacity       = var.autoscaling == null ? var.tasks : var.autoscaling.max
}

locals {
  scaling = var.autoscaling == null ? {} : { for name, policy in {
    cpu = {
      metric = "ECSServiceAverageCPUUtilization"
      target = var.autoscaling.cpu_percent
      label  = null
    }
    requests = {
      metric = "ALBRequestCountPerTarget"
      target = var.autoscaling.requests_per_task
      label  = local.balanced ? "${var.load_balancer.arn_suffix}/${aws_lb_target_group.this["full"].arn_suffix}" : null
    }
  } : name => policy if policy.target != null }
}

resource "aws_appautoscaling_policy" "full" {
  for_each = local.scaling

  name               = "${var.name}-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.full.service_namespace
  scalable_dimension = aws_appautoscaling_target.full.scalable_dimension
  resource_id        = aws_appautoscaling_target.full.resource_id

  target_tracking_scaling_policy_configuration {
    target_value = each.value.target

    predefined_metric_specification {
      predefined_metric_type = each.value.metric
      resource_label         = each.value.label
    }
  }
}

# -- logs ------------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:how long logs are kept is the team's decision (log_retention_days)
  #checkov:skip=CKV_AWS_158:encrypted with the team's key where kms_key_arn names one, by CloudWatch otherwise
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
