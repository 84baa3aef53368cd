# Exactly the calls that a worker makes, on what the variables name, and what these calls imply. The repository's tests
# hold this policy against the calls of all scenarios, in both directions.

locals {
  # One service ARN names the cluster, too: arn:PARTITION:ecs:REGION:ACCOUNT:service/CLUSTER/SERVICE.
  cluster_arns            = distinct([for arn in var.service_arns : replace(arn, "/:service/([^/]+)/.*$/", ":cluster/$1")])
  task_arns               = [for arn in local.cluster_arns : "${replace(arn, ":cluster/", ":task/")}/*"]
  service_deployment_arns = [for arn in var.service_arns : "${replace(arn, ":service/", ":service-deployment/")}/*"]
  service_revision_arns   = [for arn in var.service_arns : "${replace(arn, ":service/", ":service-revision/")}/*"]

  pipeline_arns = var.pipeline_arns == null ? ["arn:${local.partition}:codepipeline:${local.region}:${local.account}:*"] : var.pipeline_arns

  action_type_arns = [
    for definition in local.definitions :
    "arn:${local.partition}:codepipeline:${local.region}:${local.account}:actiontype:Custom/${definition.category}/${definition.provider}/${definition.version}"
  ]
}

data "aws_iam_policy_document" "task" {
  #checkov:skip=CKV_AWS_356:Where AWS knows no resource for a call, only * can stand; each such statement says so.
  #checkov:skip=CKV_AWS_111:RegisterTaskDefinition has no resource; what can be done with it is bounded by PassRoles.

  statement {
    sid       = "PollJobs"
    actions   = ["codepipeline:PollForJobs"]
    resources = local.action_type_arns
  }

  # These calls know no resource: a job's id is all that they are given.
  statement {
    sid = "AnswerJobs"
    actions = [
      "codepipeline:AcknowledgeJob",
      "codepipeline:GetJobDetails",
      "codepipeline:PutJobFailureResult",
      "codepipeline:PutJobSuccessResult",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "ReadExecutions"
    actions   = ["codepipeline:GetPipeline", "codepipeline:GetPipelineExecution", "codepipeline:ListActionExecutions"]
    resources = local.pipeline_arns
  }

  statement {
    sid       = "Deploy"
    actions   = ["ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:UpdateService"]
    resources = var.service_arns
  }

  # AWS names both kinds of resource for these, and not which of them is asked for when.
  statement {
    sid       = "ServiceDeployments"
    actions   = ["ecs:DescribeServiceDeployments", "ecs:StopServiceDeployment"]
    resources = concat(var.service_arns, local.service_deployment_arns)
  }

  statement {
    sid       = "ServiceRevisions"
    actions   = ["ecs:DescribeServiceRevisions"]
    resources = concat(var.service_arns, local.service_revision_arns)
  }

  statement {
    sid       = "DescribeTasks"
    actions   = ["ecs:DescribeTasks"]
    resources = local.task_arns
  }

  # Knows no resource but a container instance; the cluster is its condition.
  statement {
    sid       = "ListTasks"
    actions   = ["ecs:ListTasks"]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = local.cluster_arns
    }
  }

  # Describing and listing know no resource; whether registering does, AWS's pages do not agree.
  statement {
    sid       = "TaskDefinitions"
    actions   = ["ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions", "ecs:RegisterTaskDefinition"]
    resources = ["*"]
  }

  statement {
    sid       = "TagTaskDefinitions"
    actions   = ["ecs:TagResource"]
    resources = ["arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/*:*"]

    condition {
      test     = "StringEquals"
      variable = "ecs:CreateAction"
      values   = ["RegisterTaskDefinition"]
    }
  }

  dynamic "statement" {
    for_each = length(var.task_role_arns) == 0 ? [] : [1]

    content {
      sid       = "PassRoles"
      actions   = ["iam:PassRole"]
      resources = var.task_role_arns

      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["ecs-tasks.amazonaws.com"]
      }
    }
  }

  statement {
    sid       = "ReadImages"
    actions   = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:DescribeRepositories"]
    resources = var.repository_arns
  }

  # Composite alarms are shown only to those who may see every alarm.
  statement {
    sid       = "ReadAlarms"
    actions   = ["cloudwatch:DescribeAlarms"]
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = length(var.log_group_arns) == 0 ? [] : [1]

    content {
      sid       = "ReadLogs"
      actions   = ["logs:GetLogEvents"]
      resources = [for arn in var.log_group_arns : "${trimsuffix(arn, ":*")}:log-stream:*"]
    }
  }

  statement {
    sid       = "TellOthers"
    actions   = ["events:PutEvents"]
    resources = ["arn:${local.partition}:events:${local.region}:${local.account}:event-bus/default"]
  }

  statement {
    sid       = "Ledger"
    actions   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    resources = ["${module.ledger.arn}/${var.ledger_prefix}/*"]
  }

  # IfExists: S3 asks for this permission, without a prefix, before it tells that an object is not there.
  statement {
    sid       = "ListLedger"
    actions   = ["s3:ListBucket"]
    resources = [module.ledger.arn]

    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${var.ledger_prefix}/*"]
    }
  }

  statement {
    sid       = "LedgerKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.amazonaws.com"]
    }
  }
}
