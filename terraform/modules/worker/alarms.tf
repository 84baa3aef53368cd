# Alarms on the workers themselves. What they say of a release, they say in CodePipeline.

locals {
  metrics = "Coalmine/Worker"

  # Log lines worth waking somebody for; the repository's tests hold these words against the worker's.
  log_metrics = {
    errors         = "{ $.level = \"ERROR\" }"
    refused        = "{ $.message = \"polling for jobs was refused*\" }"
    ledger-trouble = "{ $.message = \"the ledger cannot be written*\" }"
  }

  log_alarms = {
    errors         = "A worker met an error that it did not expect: look at its log."
    refused        = "Workers are refused when they poll for jobs, so releases stand still: does every action type exist, and may the role poll it?"
    ledger-trouble = "The ledger cannot be written, so no jobs are taken and releases stand still: may the role use bucket and key?"
  }

  # The number of tasks is how many of them report their CPU each minute. It needs no Container Insights.
  service_alarms = {
    none-running = {
      description = "No worker is running, so releases stand still: look at the events of the ECS service."
      metric      = "CPUUtilization"
      statistic   = "SampleCount"
      comparison  = "LessThanThreshold"
      threshold   = 1
      minutes     = 3
      missing     = "breaching"
    }
    some-missing = {
      description = "Fewer workers are running than there should be: look at the events of the ECS service."
      metric      = "CPUUtilization"
      statistic   = "SampleCount"
      comparison  = "LessThanThreshold"
      threshold   = var.desired_count
      minutes     = 15
      missing     = "breaching"
    }
    memory = {
      description = "The workers are short of memory: raise it, or lower jobs."
      metric      = "MemoryUtilization"
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 85
      minutes     = 5
      missing     = "notBreaching"
    }
    cpu = {
      description = "The workers are short of CPU: raise it, or lower jobs."
      metric      = "CPUUtilization"
      statistic   = "Average"
      comparison  = "GreaterThanThreshold"
      threshold   = 85
      minutes     = 15
      missing     = "notBreaching"
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.log_metrics

  name           = "${var.name}-${each.key}"
  log_group_name = module.task.log_group_name
  pattern        = each.value

  metric_transformation {
    namespace = local.metrics
    name      = "${var.name}-${each.key}"
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "log" {
  for_each = local.log_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value
  namespace           = local.metrics
  metric_name         = aws_cloudwatch_log_metric_filter.this[each.key].metric_transformation[0].name
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "service" {
  for_each = local.service_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/ECS"
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  period              = 60
  evaluation_periods  = each.value.minutes
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags

  dimensions = {
    ClusterName = split("/", var.cluster_arn)[1]
    ServiceName = aws_ecs_service.this.name
  }
}
