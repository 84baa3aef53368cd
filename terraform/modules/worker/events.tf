# Who is told of releases. The workers put an event on the account's default bus for each state that a release reaches; a
# rule hands it to a topic, and whoever wants to know subscribes: people, chat tools, a queue.

locals {
  # Put together from names, so that a plan shows whole policies.
  releases_rule_arn  = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${var.name}-releases"
  releases_topic_arn = "arn:${local.partition}:sns:${local.region}:${local.account}:${var.name}-releases"
}

resource "aws_cloudwatch_event_rule" "releases" {
  name        = "${var.name}-releases"
  description = "A release by a worker reached another state"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["coalmine"]
    detail-type = ["Coalmine Release State Change"]
  })
}

resource "aws_cloudwatch_event_target" "releases" {
  rule      = aws_cloudwatch_event_rule.releases.name
  target_id = "topic"
  arn       = aws_sns_topic.releases.arn

  # Without a permission of the topic every event would be lost in silence.
  depends_on = [aws_sns_topic_policy.releases]
}

resource "aws_sns_topic" "releases" {
  name              = "${var.name}-releases"
  kms_master_key_id = local.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "releases" {
  arn    = aws_sns_topic.releases.arn
  policy = data.aws_iam_policy_document.releases.json
}

data "aws_iam_policy_document" "releases" {
  statement {
    sid       = "Rule"
    actions   = ["sns:Publish"]
    resources = [local.releases_topic_arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.releases_rule_arn]
    }
  }
}

resource "aws_sns_topic_subscription" "releases" {
  for_each = var.release_subscriptions

  topic_arn = aws_sns_topic.releases.arn
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
}
