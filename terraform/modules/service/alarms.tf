# The alarms of the pair. The worker tells from an alarm's dimensions whose it is: one that names the canary service or
# its own target group is the canary's; one that names what both share stops a canary, too, but may have other causes.

locals {
  balancer_alarms = local.balanced ? [
    {
      suffix      = "5xx"
      metric      = "HTTPCode_Target_5XX_Count"
      statistic   = "Sum"
      percentile  = null
      threshold   = var.alarms.http_5xx
      datapoints  = 2
      description = "Answers with 5xx a minute"
    },
    {
      suffix      = "latency"
      metric      = "TargetResponseTime"
      statistic   = null
      percentile  = "p95"
      threshold   = var.alarms.latency
      datapoints  = 3
      description = "95th percentile of the response time, in seconds"
    },
    {
      suffix      = "unhealthy-hosts"
      metric      = "UnHealthyHostCount"
      statistic   = "Maximum"
      percentile  = null
      threshold   = var.alarms.unhealthy_hosts
      datapoints  = 3
      description = "Targets that fail their health checks"
    },
  ] : []

  queue_alarms = var.queue_name == null ? [] : [
    {
      suffix      = "queue-age"
      metric      = "ApproximateAgeOfOldestMessage"
      statistic   = "Maximum"
      percentile  = null
      threshold   = var.alarms.queue_age
      datapoints  = 3
      description = "Age of the oldest message, in seconds"
    },
    {
      suffix      = "queue-depth"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      percentile  = null
      threshold   = var.alarms.queue_depth
      datapoints  = 3
      description = "Messages that wait"
    },
  ]

  service_alarms = concat(
    [
      {
        suffix      = "cpu"
        metric      = "CPUUtilization"
        statistic   = "Average"
        percentile  = null
        threshold   = var.alarms.cpu
        datapoints  = 5
        description = "CPU, in percent of what the tasks have"
      },
      {
        suffix      = "memory"
        metric      = "MemoryUtilization"
        statistic   = "Maximum"
        percentile  = null
        threshold   = var.alarms.memory
        datapoints  = 3
        description = "Memory, in percent of what the tasks have"
      },
    ],
    var.log_errors == null ? [] : [
      {
        suffix      = "log-errors"
        metric      = local.log_errors_metric
        statistic   = "Sum"
        percentile  = null
        threshold   = var.alarms.log_errors
        datapoints  = 2
        description = "Errors in the log a minute"
      },
    ],
  )

  log_errors_metric    = "LogErrors"
  log_errors_namespace = "Coalmine"

  # Every alarm with the services that it speaks of.
  alarm_list = concat(
    [for pair in setproduct(sort(tolist(local.target_groups)), local.balancer_alarms) : merge(pair[1], {
      prefix     = pair[0] == "canary" ? "canary-" : ""
      of         = length(local.target_groups) > 1 ? [pair[0]] : keys(local.pair)
      namespace  = "AWS/ApplicationELB"
      dimensions = { LoadBalancer = var.load_balancer.arn_suffix, TargetGroup = aws_lb_target_group.this[pair[0]].arn_suffix }
    })],
    [for alarm in local.queue_alarms : merge(alarm, {
      prefix     = ""
      of         = keys(local.pair)
      namespace  = "AWS/SQS"
      dimensions = { QueueName = var.queue_name }
    })],
    [for pair in setproduct(keys(local.pair), local.service_alarms) : merge(pair[1], {
      prefix     = pair[0] == "canary" ? "canary-" : ""
      of         = [pair[0]]
      namespace  = pair[1].metric == local.log_errors_metric ? local.log_errors_namespace : "AWS/ECS"
      dimensions = merge({ ServiceName = local.pair[pair[0]].name }, pair[1].metric == local.log_errors_metric ? {} : { ClusterName = var.cluster_name })
    })],
  )

  alarms = { for alarm in local.alarm_list : "${alarm.prefix}${alarm.suffix}" => alarm if alarm.threshold > 0 }

  alarm_names = { for role in keys(local.pair) : role => sort([
    for key, alarm in local.alarms : aws_cloudwatch_metric_alarm.this[key].alarm_name if contains(alarm.of, role)
  ]) }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${var.name}: ${each.value.description}. Releases stop at it."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  extended_statistic  = each.value.percentile
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.datapoints
  datapoints_to_alarm = each.value.datapoints

  # No requests, no messages, no tasks: nothing that a release could have broken.
  treat_missing_data = "notBreaching"

  alarm_actions = var.alarm_topic_arns
  ok_actions    = var.alarm_topic_arns
}

# Errors in the log, apart by service. (A filter may take dimensions only from fields that its pattern names.)
resource "aws_cloudwatch_log_metric_filter" "errors" {
  for_each = var.log_errors == null ? {} : local.pair

  name           = "${each.value.name}-errors"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = "{ (${var.log_errors.condition}) && (${var.log_errors.service_field} = \"${each.value.name}\") }"

  metric_transformation {
    namespace  = local.log_errors_namespace
    name       = local.log_errors_metric
    value      = "1"
    unit       = "Count"
    dimensions = { ServiceName = var.log_errors.service_field }
  }
}
