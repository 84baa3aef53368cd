# Bad input is refused before anything is planned, with a sentence that says what to do.

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
      canary_alarms   = []
      full_alarms     = []
    }
  }
}

run "a_batch_of_nothing" {
  command = plan

  variables {
    batch_percent = 0
  }

  expect_failures = [var.batch_percent]
}

run "a_batch_of_more_than_everything" {
  command = plan

  variables {
    batch_percent = 101
  }

  expect_failures = [var.batch_percent]
}

run "a_pool_of_more_than_twenty_characters" {
  command = plan

  variables {
    pool = "the-pool-of-the-big-shop"
  }

  expect_failures = [var.pool]
}

run "no_services" {
  command = plan

  variables {
    services = {}
  }

  expect_failures = [var.services]
}

run "a_pair_that_no_action_can_be_named_after" {
  command = plan

  variables {
    services = {
      "the app" = {
        cluster         = "main"
        service         = "app"
        canary_service  = "app-canary"
        template_family = "app-template"
        canary_capacity = "1"
        canary_alarms   = []
        full_alarms     = []
      }
    }
  }

  expect_failures = [var.services]
}

run "a_class_that_a_bucket_cannot_be_named_after" {
  command = plan

  variables {
    class = "App_1"
  }

  expect_failures = [var.class]
}

run "a_bake_time_without_a_unit" {
  command = plan

  variables {
    canary_bake_time = "5"
  }

  expect_failures = [var.canary_bake_time]
}

run "a_bake_time_in_words" {
  command = plan

  variables {
    full_bake_time = "soon"
  }

  expect_failures = [var.full_bake_time]
}

run "an_option_that_the_canary_action_does_not_know" {
  command = plan

  variables {
    canary_options = { surge = "true" }
  }

  expect_failures = [var.canary_options]
}

run "an_option_that_no_action_knows" {
  command = plan

  variables {
    full_options = { speed = "fast" }
  }

  expect_failures = [var.full_options]
}

run "an_option_of_the_canary_that_reads_as_two" {
  command = plan

  variables {
    canary_options = { wait = "5m, mode=plan" }
  }

  expect_failures = [var.canary_options]
}

run "a_canary_that_would_only_plan" {
  command = plan

  variables {
    canary_options = { mode = "plan" }
  }

  expect_failures = [var.canary_options]
}

run "an_option_that_reads_as_two" {
  command = plan

  variables {
    full_options = { wait = "5m, surge=true" }
  }

  expect_failures = [var.full_options]
}

run "an_approval_that_waits_for_ever" {
  command = plan

  variables {
    approval_timeout_minutes = 100000
  }

  expect_failures = [var.approval_timeout_minutes]
}
