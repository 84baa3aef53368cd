# The standard pipeline. Everything but one run is a plan: nothing is created.

provider "aws" {
  region = "eu-central-1"
}

variables {
  class         = "app"
  pool          = "default"
  source_bucket = "sources"

  services = {
    app = {
      cluster         = "main"
      service         = "app"
      canary_service  = "app-canary"
      template_family = "app-template"
      canary_capacity = "1"
      canary_alarms   = ["app-5xx", "app-canary-memory"]
      full_alarms     = ["app-5xx", "app-memory"]
    }
  }
}

run "three_stages_in_their_order" {
  command = plan

  assert {
    condition     = aws_codepipeline.this.stage[*].name == tolist(["Source", "Approve", "Release"])
    error_message = "The stages should be Source, Approve, Release."
  }

  assert {
    condition = [for action in aws_codepipeline.this.stage[2].action : "${action.run_order} ${action.name} ${action.owner}/${action.provider}"] == [
      "1 Canary Custom/Coalmine-Canary", "2 Approve AWS/Manual", "3 Full Custom/Coalmine-Full",
    ]
    error_message = "Release should hold Canary, Approve and Full, one after another: ${jsonencode(aws_codepipeline.this.stage[2].action[*].name)}"
  }

  assert {
    condition     = [for action in aws_codepipeline.this.stage[1].action : "${action.run_order} ${action.name} ${action.owner}/${action.provider}"] == ["1 Plan Custom/Coalmine-Canary", "2 Approve AWS/Manual"]
    error_message = "Approve should hold the plan, and then the approval that shows it: ${jsonencode(aws_codepipeline.this.stage[1].action[*].name)}"
  }

  assert {
    condition     = aws_codepipeline.this.pipeline_type == "V2" && aws_codepipeline.this.execution_mode == "SUPERSEDED"
    error_message = "While one release is held, only the newest may wait: V2, SUPERSEDED."
  }

  assert {
    condition     = alltrue([for stage in aws_codepipeline.this.stage : length(stage.on_failure) + length(stage.on_success) + length(stage.before_entry) == 0])
    error_message = "No stage may roll back by itself: the worker undoes what it did, and a second automatic deployment would fight it."
  }
}

run "the_actions_are_configured_as_the_worker_reads_them" {
  command = plan

  assert {
    condition = aws_codepipeline.this.stage[2].action[0].configuration == tomap({
      Pool           = "default"
      Cluster        = "main"
      Service        = "app-canary"
      FullService    = "app"
      Capacity       = "1"
      BakeTime       = "5m"
      Alarms         = "app-5xx,app-canary-memory"
      TemplateFamily = "app-template"
    })
    error_message = "Canary is configured as ${jsonencode(aws_codepipeline.this.stage[2].action[0].configuration)}"
  }

  assert {
    condition     = aws_codepipeline.this.stage[1].action[0].configuration == tomap(merge(aws_codepipeline.this.stage[2].action[0].configuration, { Options = "mode=plan" }))
    error_message = "The plan should be made with all that the canary is deployed with: ${jsonencode(aws_codepipeline.this.stage[1].action[0].configuration)}"
  }

  assert {
    condition = aws_codepipeline.this.stage[2].action[2].configuration == tomap({
      Pool           = "default"
      Cluster        = "main"
      Service        = "app"
      CanaryService  = "app-canary"
      TemplateFamily = "app-template"
      Batch          = "10%"
      BakeTime       = "2m"
      Alarms         = "app-5xx,app-memory"
    })
    error_message = "Full is configured as ${jsonencode(aws_codepipeline.this.stage[2].action[2].configuration)}"
  }

  assert {
    condition = alltrue(flatten([for action in concat(aws_codepipeline.this.stage[1].action, aws_codepipeline.this.stage[2].action) : [
      for property in keys(action.configuration) : contains(flatten([
        for type in jsondecode(file("../../../pipeline/contract.json")).actionTypes : type.definition.configurationProperties[*].name
        if type.definition.provider == action.provider && type.definition.version == action.version
      ]), property)
    ] if action.owner == "Custom"]))
    error_message = "Every property should be one that contract.json has for the action type in this version."
  }

  assert {
    condition     = alltrue([for action in concat(aws_codepipeline.this.stage[1].action, aws_codepipeline.this.stage[2].action) : action.input_artifacts == tolist(["images"]) if action.owner == "Custom"])
    error_message = "All three actions should read the source's artifact."
  }
}

run "people_are_asked_twice_first_with_a_plan_then_with_evidence" {
  command = plan

  assert {
    condition     = aws_codepipeline.this.stage[1].action[1].timeout_in_minutes == 1440 && aws_codepipeline.this.stage[2].action[1].timeout_in_minutes == 1440
    error_message = "Both approvals should time out after a day."
  }

  assert {
    condition     = aws_codepipeline.this.stage[1].action[1].configuration["CustomData"] == "Deploy this release of app to the canary? #{plan.Summary}" && aws_codepipeline.this.stage[1].action[0].namespace == "plan"
    error_message = "The first approval should show what the release would do: ${jsonencode(aws_codepipeline.this.stage[1].action[1].configuration)}"
  }

  assert {
    condition     = aws_codepipeline.this.stage[2].action[1].configuration["CustomData"] == "#{canary.Summary}"
    error_message = "The second approval should show what the canary came to."
  }
}

run "nothing_is_planned_where_nobody_wants_it" {
  command = plan

  variables {
    plan = false
  }

  assert {
    condition     = [for action in aws_codepipeline.this.stage[1].action : "${action.run_order} ${action.name}"] == ["1 Approve"]
    error_message = "The approval should stand alone: ${jsonencode(aws_codepipeline.this.stage[1].action[*].name)}"
  }

  assert {
    condition     = aws_codepipeline.this.stage[1].action[0].configuration["CustomData"] == "Deploy this release of app to the canary?"
    error_message = "A text may refer to no plan where none is made: ${jsonencode(aws_codepipeline.this.stage[1].action[0].configuration)}"
  }
}

run "a_release_starts_with_the_very_version_that_was_uploaded" {
  command = plan

  assert {
    condition     = aws_codepipeline.this.stage[0].action[0].configuration == tomap({ S3Bucket = "sources", S3ObjectKey = "app/imagedefinitions.zip", PollForSourceChanges = "false" })
    error_message = "The source should be the class's object, and not be polled."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.source.event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail      = { bucket = { name = ["sources"] }, object = { key = ["app/imagedefinitions.zip"] } }
    }
    error_message = "The rule should match uploads of this object alone: ${aws_cloudwatch_event_rule.source.event_pattern}"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_target.pipeline.input_transformer[0].input_template).sourceRevisions[0].revisionValue == "<version>"
    error_message = "The uploaded version should be handed to the pipeline."
  }
}

run "what_it_stands_on_is_its_own_and_its_rule_may_start_it_alone" {
  command = apply

  assert {
    condition     = one(aws_codepipeline.this.artifact_store).encryption_key[0] == { id = module.base.key_arn, type = "KMS" } && one(aws_codepipeline.this.artifact_store).location == "app-artifacts-123456789012-eu-central-1"
    error_message = "Artifacts should be in the pipeline's bucket, encrypted with its key."
  }

  assert {
    condition     = aws_codepipeline.this.role_arn == module.base.role_arn && aws_codepipeline.this.stage[1].action[1].configuration["NotificationArn"] == "arn:aws:sns:eu-central-1:123456789012:app-approvals"
    error_message = "The pipeline should use its own role and topic."
  }

  assert {
    condition     = jsondecode(data.aws_iam_policy_document.trigger.json).Statement == [{ Effect = "Allow", Action = "codepipeline:StartPipelineExecution", Resource = "arn:aws:codepipeline:eu-central-1:123456789012:app" }]
    error_message = "The rule may start this pipeline and nothing else: ${data.aws_iam_policy_document.trigger.json}"
  }

  assert {
    condition     = jsondecode(aws_iam_role.trigger.assume_role_policy).Statement[0].Principal == { Service = "events.amazonaws.com" }
    error_message = "Only EventBridge may take the rule's role."
  }
}

run "several_pairs_are_released_together" {
  command = plan

  variables {
    services = {
      mail = {
        cluster         = "main"
        service         = "mail"
        canary_service  = "mail-canary"
        template_family = "mail-template"
        canary_capacity = "10%"
        canary_alarms   = []
        full_alarms     = []
      }
      reports = {
        cluster         = "main"
        service         = "reports"
        canary_service  = "reports-canary"
        template_family = "reports-template"
        canary_capacity = "10%"
        canary_alarms   = []
        full_alarms     = []
      }
    }
  }

  assert {
    condition = [for action in aws_codepipeline.this.stage[2].action : "${action.run_order} ${action.name}"] == [
      "1 Canary-mail", "1 Canary-reports", "2 Approve", "3 Full-mail", "3 Full-reports",
    ]
    error_message = "Canaries first, then people, then the full services."
  }

  assert {
    condition     = [for action in aws_codepipeline.this.stage[1].action : "${action.run_order} ${action.name}"] == ["1 Plan-mail", "1 Plan-reports", "2 Approve"] && local.prospect == "Deploy this release of app to the canary? #{plan-mail.Summary} #{plan-reports.Summary}"
    error_message = "Each pair should be planned, and people see all plans: ${local.prospect}"
  }

  assert {
    condition     = local.evidence == "#{canary-mail.Summary} #{canary-reports.Summary}"
    error_message = "People should see the evidence of every canary: ${local.evidence}"
  }

  assert {
    condition     = !contains(keys(aws_codepipeline.this.stage[2].action[0].configuration), "Alarms")
    error_message = "Without alarms there should be no property of that name: CodePipeline refuses empty values."
  }
}

run "rare_settings_reach_the_actions" {
  command = plan

  variables {
    canary_options = { already_red = "require-clear", "image.app" = "#{build.Image}" }
    full_options   = { deadline = "2h" }
  }

  assert {
    condition     = aws_codepipeline.this.stage[2].action[0].configuration["Options"] == "already_red=require-clear, image.app=#{build.Image}" && aws_codepipeline.this.stage[2].action[2].configuration["Options"] == "deadline=2h"
    error_message = "Options should hold the settings as key=value."
  }

  assert {
    condition     = aws_codepipeline.this.stage[1].action[0].configuration["Options"] == "already_red=require-clear, image.app=#{build.Image}, mode=plan"
    error_message = "A plan should be made with the canary's settings: ${aws_codepipeline.this.stage[1].action[0].configuration["Options"]}"
  }
}
