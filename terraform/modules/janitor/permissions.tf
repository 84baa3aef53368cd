# What a scan reads, what a sweep does beside that, and what starts them. The repository's tests hold both policies
# against the calls that the janitor makes.

locals {
  prefixes = compact([var.state_prefix, var.ledger_prefix])

  # One schedule starts one task definition, in one cluster, as one of two roles.
  task_definition_families = [for verb in keys(local.commands) : "arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/${var.name}-${verb}:*"]
}

data "aws_iam_policy_document" "task" {
  for_each = local.commands

  #checkov:skip=CKV_AWS_356:Lists know no resource, and a scan that leaves a cluster or a function out is no scan. All of it reads.

  statement {
    sid = "ReadImages"
    actions = [
      "ecr:BatchGetImage",
      "ecr:DescribeImages",
      "ecr:DescribeRepositories",
      "ecr:GetLifecyclePolicy",
      "ecr:GetRepositoryPolicy",
    ]
    resources = ["arn:${local.partition}:ecr:${local.region}:${local.account}:repository/*"]
  }

  # Whatever may refer to an image, in this region. The lists know no resource; of daemons nobody has written it down.
  statement {
    sid = "FindReferences"
    actions = [
      "codebuild:ListProjects",
      "ecr:DescribeRegistry",
      "ecr:GetRegistryPolicy",
      "ecs:DescribeDaemon",
      "ecs:DescribeDaemonDeployments",
      "ecs:DescribeDaemonRevisions",
      "ecs:DescribeDaemonTaskDefinition",
      "ecs:DescribeTaskDefinition",
      "ecs:ListClusters",
      "ecs:ListDaemonTaskDefinitions",
      "ecs:ListDaemons",
      "ecs:ListServices",
      "ecs:ListTaskDefinitions",
      "ecs:ListTasks",
      "events:ListEventBuses",
      "events:ListRules",
      "lambda:ListFunctions",
      "scheduler:ListSchedules",
    ]
    resources = ["*"]
  }

  statement {
    sid = "ReadReferences"
    actions = [
      "codebuild:BatchGetProjects",
      "ecs:DescribeServiceDeployments",
      "ecs:DescribeServiceRevisions",
      "ecs:DescribeServices",
      "ecs:DescribeTasks",
      "ecs:ListServiceDeployments",
      "events:ListTargetsByRule",
      "lambda:GetFunction",
      "scheduler:GetSchedule",
    ]
    resources = [
      "arn:${local.partition}:codebuild:${local.region}:${local.account}:project/*",
      "arn:${local.partition}:ecs:${local.region}:${local.account}:service-deployment/*",
      "arn:${local.partition}:ecs:${local.region}:${local.account}:service-revision/*",
      "arn:${local.partition}:ecs:${local.region}:${local.account}:service/*",
      "arn:${local.partition}:ecs:${local.region}:${local.account}:task/*",
      "arn:${local.partition}:events:${local.region}:${local.account}:rule/*",
      "arn:${local.partition}:lambda:${local.region}:${local.account}:function:*",
      "arn:${local.partition}:scheduler:${local.region}:${local.account}:schedule/*",
    ]
  }

  dynamic "statement" {
    for_each = length(var.reader_role_arns) == 0 ? [] : [1]

    content {
      sid       = "OtherReaders"
      actions   = ["sts:AssumeRole"]
      resources = var.reader_role_arns
    }
  }

  statement {
    sid       = "ReadState"
    actions   = ["s3:GetObject"]
    resources = [for prefix in local.prefixes : "${local.state_bucket_arn}/${prefix}/*"]
  }

  # IfExists: S3 asks for this permission, without a prefix, before it tells that an object is not there.
  statement {
    sid       = "ListState"
    actions   = ["s3:ListBucket"]
    resources = [local.state_bucket_arn]

    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = [for prefix in local.prefixes : "${prefix}/*"]
    }
  }

  # What it remembers between runs, in both roles: how long an image has been unused, and what never changes.
  statement {
    sid       = "WriteState"
    actions   = ["s3:PutObject"]
    resources = ["${local.state_bucket_arn}/${var.state_prefix}/*"]
  }

  statement {
    sid       = "StateKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.amazonaws.com"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "sweep" ? [1] : []

    content {
      sid       = "Delete"
      actions   = ["ecr:BatchDeleteImage"]
      resources = ["arn:${local.partition}:ecr:${local.region}:${local.account}:repository/*"]

      condition {
        test     = "StringEquals"
        variable = "aws:ResourceTag/${var.repository_tag.key}"
        values   = [var.repository_tag.value]
      }
    }
  }
}

# -- What starts the task ----------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "assume_schedule" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "schedule" {
  name               = "${var.name}-schedule"
  description        = "What EventBridge Scheduler needs to start ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.assume_schedule.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "schedule" {
  name   = "start"
  role   = aws_iam_role.schedule.name
  policy = data.aws_iam_policy_document.schedule.json
}

data "aws_iam_policy_document" "schedule" {
  statement {
    sid       = "RunTask"
    actions   = ["ecs:RunTask"]
    resources = local.task_definition_families

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [var.cluster_arn]
    }
  }

  # The task carries the task definition's tags.
  statement {
    sid       = "TagTask"
    actions   = ["ecs:TagResource"]
    resources = ["${replace(var.cluster_arn, ":cluster/", ":task/")}/*"]

    condition {
      test     = "StringEquals"
      variable = "ecs:CreateAction"
      values   = ["RunTask"]
    }
  }

  statement {
    sid       = "PassRoles"
    actions   = ["iam:PassRole"]
    resources = concat([module.task.execution_role_arn], [for role in module.task.task_roles : role.arn])

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}
