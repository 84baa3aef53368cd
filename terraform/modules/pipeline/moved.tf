# What stood in this module itself: whoever has applied it keeps the key, the artifacts and the subscriptions.

moved {
  from = aws_kms_key.this
  to   = module.base.module.key.aws_kms_key.this
}

moved {
  from = aws_kms_alias.this
  to   = module.base.module.key.aws_kms_alias.this
}

moved {
  from = module.artifacts
  to   = module.base.module.artifacts
}

moved {
  from = aws_sns_topic.approvals
  to   = module.base.aws_sns_topic.approvals
}

moved {
  from = aws_sns_topic_subscription.approver
  to   = module.base.aws_sns_topic_subscription.approver
}

moved {
  from = aws_iam_role.pipeline
  to   = module.base.aws_iam_role.this
}

moved {
  from = aws_iam_role_policy.pipeline
  to   = module.base.aws_iam_role_policy.this
}
