# The janitor, on an account that is imagined.

provider "aws" {
  region = "eu-central-1"
}

variables {
  image       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/coalmine-janitor:8c1f2ab"
  cluster_arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/main"
  vpc_id      = "vpc-0123456789abcdef0"
  subnet_ids  = ["subnet-0123456789abcdef0"]
  policy      = "# the default"
}

run "it_only_scans_until_it_is_told_to_sweep" {
  command = apply

  assert {
    condition     = aws_scheduler_schedule.this.target[0].ecs_parameters[0].task_definition_arn == output.task_definition_arns["scan"]
    error_message = "The schedule should start the task that scans."
  }

  assert {
    condition     = !strcontains(output.policies.scan, "Delete") && !strcontains(output.policies.scan, "ecr:Put") && !strcontains(output.policies.scan, "ecs:Update")
    error_message = "A scan should only be able to read, and to write what it remembers."
  }

  assert {
    condition     = output.state_bucket == "coalmine-janitor-state-123456789012-eu-central-1"
    error_message = "Without a bucket one should be made."
  }

  assert {
    condition     = [for statement in jsondecode(output.policies.schedule).Statement : statement.Sid] == ["RunTask", "TagTask", "PassRoles"]
    error_message = "The schedule should be able to start a task, and nothing else."
  }
}

run "a_sweep_deletes_only_where_the_repository_says_so" {
  command = apply

  variables {
    sweep          = true
    repository_tag = { key = "cleanup", value = "yes" }
  }

  assert {
    condition     = aws_scheduler_schedule.this.target[0].ecs_parameters[0].task_definition_arn == output.task_definition_arns["sweep"]
    error_message = "The schedule should start the task that sweeps."
  }

  assert {
    condition = [
      for statement in jsondecode(output.policies.sweep).Statement : statement.Condition if statement.Sid == "Delete"
    ] == [{ StringEquals = { "aws:ResourceTag/cleanup" = "yes" } }]
    error_message = "Deleting should need the repository's tag."
  }
}

run "the_alarms_speak_of_the_metrics_that_the_janitor_writes" {
  command = plan

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => "${alarm.namespace} ${alarm.metric_name}" } == {
      guard-tripped = "Coalmine/Janitor GuardTripped"
      incomplete    = "Coalmine/Janitor Incomplete"
      not-started   = "AWS/Scheduler TargetErrorCount"
      silent        = "Coalmine/Janitor ImagesKept"
    }
    error_message = "There should be an alarm on a guard, on an incomplete run, and on silence."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["incomplete"].dimensions == tomap({ Registry = "123456789012/eu-central-1" })
    error_message = "The janitor's metrics have the registry as their dimension."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["silent"].treat_missing_data == "breaching"
    error_message = "No data is what silence looks like."
  }
}

run "an_empty_policy" {
  command = plan

  variables {
    policy = " "
  }

  expect_failures = [var.policy]
}

run "an_image_that_moves" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/coalmine-janitor"
  }

  expect_failures = [var.image]
}

run "everything_that_can_be_wrong_at_once" {
  command = plan

  variables {
    name         = "a-janitor-of-a-name-that-is-too-long"
    cluster_arn  = "main"
    subnet_ids   = []
    state_prefix = "janitor/"
  }

  expect_failures = [var.name, var.cluster_arn, var.subnet_ids, var.state_prefix]
}
