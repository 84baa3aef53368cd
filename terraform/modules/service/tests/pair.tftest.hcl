# What the pair is made of. Everything is a plan: nothing is created.

provider "aws" {
  region = "eu-central-1"
}

variables {
  name         = "app"
  cluster_name = "main"
  vpc_id       = "vpc-0123456789abcdef0"
  subnet_ids   = ["subnet-0123456789abcdef0"]
  tasks        = 10

  repository = {
    arn                  = "arn:aws:ecr:eu-central-1:123456789012:repository/shop"
    repository_url       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop"
    image_tag_mutability = "IMMUTABLE"
  }

  container = {
    port       = 8080
    variables  = { STAGE = "production" }
    secrets    = { DATABASE_URL = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database-a1b2c3:url::" }
    parameters = { FLAGS = "arn:aws:ssm:eu-central-1:123456789012:parameter/flags" }
  }

  load_balancer = {
    listener_arn      = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/shop/0123456789abcdef/0123456789abcdef"
    arn_suffix        = "app/shop/0123456789abcdef"
    security_group_id = "sg-0123456789abcdef0"
    priority          = 10
    path_patterns     = ["/*"]
  }
}

run "a_canary_service_and_a_full_service" {
  command = plan

  assert {
    condition     = { for role, service in aws_ecs_service.this : role => [service.name, service.desired_count] } == { full = ["app", 10], canary = ["app-canary", 1] }
    error_message = "The pair should be app with ten tasks and app-canary with one."
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : service.deployment_minimum_healthy_percent == 100 && service.deployment_maximum_percent == 200])
    error_message = "Outside of a release both services should have the percents 100 and 200."
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : service.availability_zone_rebalancing == "DISABLED"])
    error_message = "In place, availability zone rebalancing has to be off: with it ECS refuses a maximum of 100 percent."
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : service.deployment_circuit_breaker[0].enable && service.deployment_circuit_breaker[0].rollback])
    error_message = "Both services should have a circuit breaker that rolls back."
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : length(service.load_balancer) == 1 && length(service.alarms) == 0])
    error_message = "Both services stand behind the load balancer; the alarms are the worker's, not ECS's."
  }

  assert {
    condition     = keys(aws_lb_target_group.this) == ["full"] && length(one(aws_lb_listener_rule.this).action[0].forward[0].target_group) == 1
    error_message = "Without canary_target_group both services share one target group."
  }
}

run "the_template_is_a_family_of_its_own" {
  command = plan

  assert {
    condition     = aws_ecs_task_definition.template.family == "app-template" && { for role, first in aws_ecs_task_definition.first : role => first.family } == { full = "app", canary = "app-canary" }
    error_message = "The template must be another family than the ones that run, or every release would become the next template."
  }

  assert {
    condition     = aws_ecs_task_definition.template.skip_destroy && alltrue([for first in aws_ecs_task_definition.first : first.skip_destroy])
    error_message = "No revision may be deregistered: a release in progress, or a rollback, may need it."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.template.container_definitions)[0].image == "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop:unreleased"
    error_message = "The template's image should be one that nobody pushes."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.template.container_definitions)[0].readonlyRootFilesystem
    error_message = "The root file system should be read-only."
  }

  assert {
    condition     = output.release.template_family == "app-template" && output.release.service == "app" && output.release.canary_service == "app-canary"
    error_message = "The pipeline should be told the names of the services and of the template."
  }
}

run "the_execution_role_may_start_this_application_and_nothing_else" {
  command = plan

  assert {
    condition = jsondecode(data.aws_iam_policy_document.execution.json).Statement == [
      { Sid = "Login", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      { Sid = "Pull", Effect = "Allow", Action = ["ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability"], Resource = "arn:aws:ecr:eu-central-1:123456789012:repository/shop" },
      { Sid = "Log", Effect = "Allow", Action = ["logs:PutLogEvents", "logs:CreateLogStream"], Resource = "arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/app:log-stream:*" },
      { Sid = "Secrets", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database-a1b2c3" },
      { Sid = "Parameters", Effect = "Allow", Action = "ssm:GetParameters", Resource = "arn:aws:ssm:eu-central-1:123456789012:parameter/flags" },
    ]
    error_message = "The execution role's policy has changed: ${data.aws_iam_policy_document.execution.json}"
  }
}

run "alarms_on_a_shared_target_group_are_shared_and_the_canary_has_its_own" {
  command = plan

  variables {
    log_errors = {}
  }

  assert {
    condition     = output.release.canary_alarms == tolist(["app-5xx", "app-canary-cpu", "app-canary-log-errors", "app-canary-memory", "app-latency", "app-unhealthy-hosts"])
    error_message = "The canary's alarms are its own and the shared ones: ${jsonencode(output.release.canary_alarms)}"
  }

  assert {
    condition     = output.release.full_alarms == tolist(["app-5xx", "app-cpu", "app-latency", "app-log-errors", "app-memory", "app-unhealthy-hosts"])
    error_message = "The full service's alarms are its own and the shared ones: ${jsonencode(output.release.full_alarms)}"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["canary-cpu"].dimensions == tomap({ ClusterName = "main", ServiceName = "app-canary" })
    error_message = "The canary's own alarms have to name the canary service."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["canary-log-errors"].dimensions == tomap({ ServiceName = "app-canary" }) && aws_cloudwatch_log_metric_filter.errors["canary"].pattern == "{ ($.level = \"error\") && ($.service = \"app-canary\") }"
    error_message = "The canary's errors in the log have to be counted apart."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.treat_missing_data == "notBreaching"])
    error_message = "An alarm without data must not stop a release."
  }
}

run "a_canary_target_group_of_its_own_stands_under_one_weighted_rule" {
  command = plan

  variables {
    canary_target_group = true
    canary_weight       = 20
  }

  assert {
    condition     = { for role, group in aws_lb_target_group.this : role => group.name } == { canary = "app-canary", full = "app" }
    error_message = "There should be two target groups."
  }

  assert {
    condition     = length(aws_lb_listener_rule.this) == 1 && sort([for group in one(aws_lb_listener_rule.this).action[0].forward[0].target_group : tostring(group.weight)]) == tolist(["20", "80"])
    error_message = "One rule should divide the requests 20 to 80."
  }

  assert {
    condition     = output.release.canary_alarms == tolist(["app-canary-5xx", "app-canary-cpu", "app-canary-latency", "app-canary-memory", "app-canary-unhealthy-hosts"])
    error_message = "Every alarm of the canary should be its own: ${jsonencode(output.release.canary_alarms)}"
  }

  assert {
    condition     = output.release.full_alarms == tolist(["app-5xx", "app-cpu", "app-latency", "app-memory", "app-unhealthy-hosts"])
    error_message = "Every alarm of the full service should be its own: ${jsonencode(output.release.full_alarms)}"
  }
}

run "queue_workers_have_no_load_balancer_and_split_the_work" {
  command = plan

  variables {
    tasks           = 18
    canary_capacity = "10%"
    container       = {}
    load_balancer   = null
    queue_name      = "jobs"
  }

  assert {
    condition     = { for role, service in aws_ecs_service.this : role => service.desired_count } == { full = 18, canary = 2 }
    error_message = "A tenth of twenty workers is the canary."
  }

  assert {
    condition     = length(aws_lb_target_group.this) + length(aws_lb_listener_rule.this) + length(aws_vpc_security_group_ingress_rule.balancer) == 0 && alltrue([for service in aws_ecs_service.this : length(service.load_balancer) == 0 && service.health_check_grace_period_seconds == null])
    error_message = "Nothing should be balanced."
  }

  assert {
    condition     = output.release.canary_alarms == tolist(["app-canary-cpu", "app-canary-memory", "app-queue-age", "app-queue-depth"]) && aws_cloudwatch_metric_alarm.this["queue-age"].dimensions == tomap({ QueueName = "jobs" })
    error_message = "Age and depth of the queue should stop a release: ${jsonencode(output.release.canary_alarms)}"
  }

  assert {
    condition     = output.release.canary_capacity == "10%"
    error_message = "The pipeline should be told the share."
  }
}

run "surge_goes_with_rebalancing" {
  command = plan

  variables {
    turnover = "surge"
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : service.availability_zone_rebalancing == "ENABLED"])
    error_message = "Where tasks surge, rebalancing is said to be on, not left to AWS's default."
  }
}

run "without_autoscaling_the_number_of_tasks_is_held" {
  command = plan

  assert {
    condition     = aws_appautoscaling_target.full.min_capacity == 10 && aws_appautoscaling_target.full.max_capacity == 10 && length(aws_appautoscaling_policy.full) == 0
    error_message = "Minimum and maximum should both be the number of tasks."
  }
}

run "autoscaling_moves_the_full_service_alone" {
  command = plan

  variables {
    autoscaling = { min = 4, max = 40, requests_per_task = 600 }
  }

  assert {
    condition     = aws_appautoscaling_target.full.min_capacity == 4 && aws_appautoscaling_target.full.max_capacity == 40 && aws_appautoscaling_target.full.resource_id == "service/main/app"
    error_message = "The full service should scale between 4 and 40."
  }

  assert {
    condition     = keys(aws_appautoscaling_policy.full) == ["cpu", "requests"]
    error_message = "It should follow CPU and requests."
  }
}

run "an_alarm_can_be_left_out" {
  command = plan

  variables {
    alarms = { latency = 0 }
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "latency")
    error_message = "There should be no alarm on the latency."
  }
}
