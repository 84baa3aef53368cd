# The workers, on an account that is imagined.

provider "aws" {
  region = "eu-central-1"
}

variables {
  image           = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/coalmine-worker:8c1f2ab"
  cluster_arn     = "arn:aws:ecs:eu-central-1:123456789012:cluster/main"
  vpc_id          = "vpc-0123456789abcdef0"
  subnet_ids      = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
  service_arns    = ["arn:aws:ecs:eu-central-1:123456789012:service/main/app", "arn:aws:ecs:eu-central-1:123456789012:service/main/app-canary"]
  task_role_arns  = ["arn:aws:iam::123456789012:role/app"]
  repository_arns = ["arn:aws:ecr:eu-central-1:123456789012:repository/shop"]
}

run "action_types_are_those_of_the_contract" {
  command = plan

  assert {
    condition = {
      for type in aws_codepipeline_custom_action_type.this : "${type.provider_name}/${type.version}" => [
        for property in type.configuration_property : [property.name, property.required, property.key, property.secret, property.queryable, property.type, property.description]
      ]
      } == {
      for type in jsondecode(file("../../../pipeline/contract.json")).actionTypes : "${type.definition.provider}/${type.definition.version}" => [
        for property in type.definition.configurationProperties : [property.name, property.required, property.key, property.secret, property.queryable, property.type, property.description]
      ]
    }
    error_message = "The action types' properties should be the contract's, in its order."
  }

  assert {
    condition = alltrue([
      for type in aws_codepipeline_custom_action_type.this :
      type.category == "Deploy" && length(type.configuration_property) <= 10 && [for property in type.configuration_property : property.name if property.queryable] == ["Pool"]
    ])
    error_message = "Each action type should be of category Deploy, with at most ten properties, of which Pool is queryable."
  }

  assert {
    condition     = output.action_types["Coalmine-Canary"] == { category = "Deploy", owner = "Custom", provider = "Coalmine-Canary", version = "1" }
    error_message = "Pipelines should be told category, owner, provider and version."
  }
}

run "another_fleet_creates_no_action_types" {
  command = plan

  variables {
    name                = "blue"
    pool                = "blue"
    create_action_types = false
  }

  assert {
    condition     = length(aws_codepipeline_custom_action_type.this) == 0 && length(output.action_types) == 3
    error_message = "The types belong to the account: a second fleet uses them."
  }
}

run "two_arm_workers_that_hand_over_in_time" {
  command = plan

  assert {
    condition     = aws_ecs_service.this.desired_count == 2 && aws_ecs_service.this.launch_type == "FARGATE" && aws_ecs_service.this.deployment_minimum_healthy_percent == 100
    error_message = "Two workers should run on Fargate, and none should leave before its successor is there."
  }

  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].rollback
    error_message = "A worker that does not start should be rolled back."
  }
}

run "the_task_as_it_is_made" {
  command = apply

  assert {
    condition     = output.ledger_bucket == "coalmine-worker-ledger-123456789012-eu-central-1"
    error_message = "The ledger's bucket should be named for account and region."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policies.task).Statement : statement.Resource == ["arn:aws:ecs:eu-central-1:123456789012:service/main/app-canary", "arn:aws:ecs:eu-central-1:123456789012:service/main/app"]
      if statement.Sid == "Deploy"
    ])
    error_message = "Services should be updated by their names."
  }

  assert {
    condition     = !contains([for statement in jsondecode(output.policies.task).Statement : statement.Sid], "ReadLogs")
    error_message = "Without log groups no log should be readable."
  }
}

run "releases_are_told_to_an_encrypted_topic" {
  command = apply

  variables {
    release_subscriptions = { team = { protocol = "email", endpoint = "team@example.com" } }
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.releases.event_pattern) == { source = ["coalmine"], detail-type = ["Coalmine Release State Change"] }
    error_message = "The rule should take the workers' events, and no others."
  }

  assert {
    condition     = aws_cloudwatch_event_target.releases.arn == aws_sns_topic.releases.arn && aws_sns_topic.releases.kms_master_key_id == output.kms_key_arn
    error_message = "The rule should lead to the topic, and the topic be encrypted with the workers' key."
  }

  assert {
    condition = jsondecode(aws_sns_topic_policy.releases.policy).Statement == [{
      Sid       = "Rule"
      Effect    = "Allow"
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.releases.arn
      Principal = { Service = "events.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-central-1:123456789012:rule/coalmine-worker-releases" } }
    }]
    error_message = "Only the rule should be able to publish."
  }

  assert {
    condition     = aws_sns_topic_subscription.releases["team"].topic_arn == output.releases_topic_arn && aws_sns_topic_subscription.releases["team"].endpoint == "team@example.com"
    error_message = "Whoever is named should be subscribed."
  }
}

run "a_subscription_that_anybody_could_read" {
  command = plan

  variables {
    release_subscriptions = { chat = { protocol = "http", endpoint = "http://chat.example.com" } }
  }

  expect_failures = [var.release_subscriptions]
}

run "pool_of_more_than_20_characters" {
  command = plan

  variables {
    pool = "a-pool-of-21-letters-"
  }

  expect_failures = [var.pool]
}

run "image_that_moves" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/coalmine-worker:latest"
  }

  expect_failures = [var.image]
}

run "service_without_its_cluster" {
  command = plan

  variables {
    service_arns = ["arn:aws:ecs:eu-central-1:123456789012:service/app"]
  }

  expect_failures = [var.service_arns]
}

run "any_role" {
  command = plan

  variables {
    task_role_arns = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.task_role_arns]
}

run "no_worker_at_all" {
  command = plan

  variables {
    desired_count = 0
  }

  expect_failures = [var.desired_count]
}

run "everything_that_can_be_wrong_at_once" {
  command = plan

  variables {
    name          = "Worker"
    cluster_arn   = "main"
    subnet_ids    = []
    jobs          = 1001
    ledger_prefix = "/worker/"
  }

  expect_failures = [var.name, var.cluster_arn, var.subnet_ids, var.jobs, var.ledger_prefix]
}
