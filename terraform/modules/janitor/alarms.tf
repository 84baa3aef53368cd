# The janitor writes its metrics as a log line (embedded metric format) at the end of each run; CloudWatch reads them out
# of the log group.

locals {
  metrics = "Coalmine/Janitor"
  day     = 86400

  # As the janitor names the registry that it looks after.
  registry = { Registry = "${local.account}/${local.region}" }

  alarms = {
    incomplete = {
      description = "A run could not read everything that may refer to an image, so it deleted nothing: its report names the source."
      metric      = "Incomplete"
      namespace   = local.metrics
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      days        = 1
      missing     = "notBreaching"
      dimensions  = local.registry
    }
    guard-tripped = {
      description = "A run would have deleted more of a repository than the policy's guards allow, and did not: read its report before you raise them."
      metric      = "GuardTripped"
      namespace   = local.metrics
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      days        = 1
      missing     = "notBreaching"
      dimensions  = local.registry
    }
    silent = {
      description = "No run has come to its end for two days: look at the schedule, at stopped tasks of the family, and at the log."
      metric      = "ImagesKept"
      namespace   = local.metrics
      statistic   = "SampleCount"
      comparison  = "LessThanThreshold"
      threshold   = 1
      days        = 2
      missing     = "breaching"
      dimensions  = local.registry
    }
    not-started = {
      description = "The schedule could not start the task: do cluster, task definition and roles exist?"
      metric      = "TargetErrorCount"
      namespace   = "AWS/Scheduler"
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      days        = 1
      missing     = "notBreaching"
      dimensions  = { ScheduleGroup = aws_scheduler_schedule_group.this.name }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = local.day
  evaluation_periods  = each.value.days
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}
