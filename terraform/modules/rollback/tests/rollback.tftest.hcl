# The pipeline with the button. Everything but one run is a plan: nothing is created.

provider "aws" {
  region = "eu-central-1"
}

variables {
  pool     = "default"
  cluster  = "main"
  services = ["app", "search"]

  source_bucket = "sources"
  source_key    = "app/imagedefinitions.zip"
}

run "source_approve_rollback" {
  command = plan

  assert {
    condition     = aws_codepipeline.this.stage[*].name == tolist(["Source", "Approve", "Rollback"])
    error_message = "The stages should be Source, Approve, Rollback."
  }

  assert {
    condition     = aws_codepipeline.this.pipeline_type == "V2" && aws_codepipeline.this.execution_mode == "QUEUED"
    error_message = "No rollback that somebody started may be dropped for another: V2, QUEUED."
  }

  assert {
    condition     = alltrue([for stage in aws_codepipeline.this.stage : length(stage.on_failure) + length(stage.on_success) + length(stage.before_entry) == 0])
    error_message = "No stage may roll back by itself."
  }

  assert {
    condition     = { for variable in aws_codepipeline.this.variable : variable.name => variable.default_value } == { services = "app,search", to = "last" }
    error_message = "An execution should say what goes back and how far, and without a word all to the last good release."
  }
}

run "the_action_is_configured_as_the_worker_reads_it" {
  command = plan

  variables {
    options = { surge = "true", "canary.app" = "none" }
  }

  assert {
    condition = aws_codepipeline.this.stage[2].action[0].configuration == tomap({
      Pool     = "default"
      Cluster  = "main"
      Services = "#{variables.services}"
      To       = "#{variables.to}"
      Options  = "canary.app=none, surge=true"
    })
    error_message = "Rollback is configured as ${jsonencode(aws_codepipeline.this.stage[2].action[0].configuration)}"
  }

  assert {
    condition = alltrue([for property in keys(aws_codepipeline.this.stage[2].action[0].configuration) : contains(flatten([
      for type in jsondecode(file("../../../pipeline/contract.json")).actionTypes : type.definition.configurationProperties[*].name
      if type.definition.provider == "Coalmine-Rollback" && type.definition.version == aws_codepipeline.this.stage[2].action[0].version
    ]), property)])
    error_message = "Every property should be one that contract.json has for the action type in this version."
  }

  assert {
    condition     = aws_codepipeline.this.stage[2].action[0].owner == "Custom" && aws_codepipeline.this.stage[2].action[0].category == "Deploy" && aws_codepipeline.this.stage[2].action[0].input_artifacts == null
    error_message = "The action should be ours, and take no artifact."
  }
}

run "somebody_is_asked_for_an_hour" {
  command = plan

  assert {
    condition     = aws_codepipeline.this.stage[1].action[0].timeout_in_minutes == 60 && aws_codepipeline.this.stage[1].action[0].configuration["CustomData"] == "Return #{variables.services} to #{variables.to}?"
    error_message = "The approval should show what was asked for, and not wait for days."
  }
}

run "nothing_but_a_person_starts_it_and_it_uses_its_own_things" {
  command = apply

  assert {
    condition     = aws_codepipeline.this.stage[0].action[0].configuration == tomap({ S3Bucket = "sources", S3ObjectKey = "app/imagedefinitions.zip", PollForSourceChanges = "false" })
    error_message = "The source should be the object that was named, and not be polled."
  }

  assert {
    condition     = one(aws_codepipeline.this.artifact_store).encryption_key[0].id == module.base.key_arn && one(aws_codepipeline.this.artifact_store).location == "rollback-artifacts-123456789012-eu-central-1"
    error_message = "Artifacts should be in the pipeline's bucket, encrypted with its key."
  }

  assert {
    condition     = aws_codepipeline.this.role_arn == module.base.role_arn && aws_codepipeline.this.stage[1].action[0].configuration["NotificationArn"] == "arn:aws:sns:eu-central-1:123456789012:rollback-approvals"
    error_message = "The pipeline should use its own role and topic."
  }

  assert {
    condition     = jsondecode(output.start_policy).Statement[0].Resource == "arn:aws:codepipeline:eu-central-1:123456789012:rollback"
    error_message = "Whoever may press the button should be able to start this pipeline alone."
  }
}

run "no_services" {
  command = plan

  variables {
    services = []
  }

  expect_failures = [var.services]
}

run "a_service_by_its_arn" {
  command = plan

  variables {
    services = ["arn:aws:ecs:eu-central-1:123456789012:service/main/app"]
  }

  expect_failures = [var.services]
}

run "an_option_that_the_action_does_not_know" {
  command = plan

  variables {
    options = { speed = "fast" }
  }

  expect_failures = [var.options]
}

run "an_option_that_reads_as_two" {
  command = plan

  variables {
    options = { deadline = "5m, surge=true" }
  }

  expect_failures = [var.options]
}

run "everything_that_can_be_wrong_at_once" {
  command = plan

  variables {
    name                     = "Rollback"
    pool                     = "the-pool-of-the-big-shop"
    approval_timeout_minutes = 1
  }

  expect_failures = [var.name, var.pool, var.approval_timeout_minutes]
}
