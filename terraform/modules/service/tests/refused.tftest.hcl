# Bad input is refused before anything is planned, with a sentence that says what to do.

provider "aws" {
  region = "eu-central-1"
}

variables {
  name         = "app"
  cluster_name = "main"
  vpc_id       = "vpc-0123456789abcdef0"
  subnet_ids   = ["subnet-0123456789abcdef0"]

  repository = {
    arn                  = "arn:aws:ecr:eu-central-1:123456789012:repository/shop"
    repository_url       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop"
    image_tag_mutability = "IMMUTABLE"
  }
}

run "a_repository_whose_tags_can_be_moved" {
  command = plan

  variables {
    repository = {
      arn                  = "arn:aws:ecr:eu-central-1:123456789012:repository/shop"
      repository_url       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop"
      image_tag_mutability = "MUTABLE"
    }
  }

  expect_failures = [var.repository]
}

run "a_capacity_in_words" {
  command = plan

  variables {
    canary_capacity = "one"
  }

  expect_failures = [var.canary_capacity]
}

run "a_capacity_of_nothing" {
  command = plan

  variables {
    canary_capacity = "0%"
  }

  expect_failures = [var.canary_capacity]
}

run "a_capacity_of_everything" {
  command = plan

  variables {
    canary_capacity = "100%"
  }

  expect_failures = [var.canary_capacity]
}

run "a_capacity_of_half_a_task" {
  command = plan

  variables {
    canary_capacity = "0.5"
  }

  expect_failures = [var.canary_capacity]
}

run "a_canary_target_group_without_a_load_balancer" {
  command = plan

  variables {
    canary_target_group = true
  }

  expect_failures = [var.canary_target_group]
}

run "a_load_balancer_without_a_port" {
  command = plan

  variables {
    load_balancer = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/shop/0123456789abcdef/0123456789abcdef"
      arn_suffix        = "app/shop/0123456789abcdef"
      security_group_id = "sg-0123456789abcdef0"
      priority          = 10
      path_patterns     = ["/*"]
    }
  }

  expect_failures = [var.load_balancer]
}

run "a_load_balancer_that_does_not_know_whose_requests" {
  command = plan

  variables {
    container = { port = 8080 }
    load_balancer = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/shop/0123456789abcdef/0123456789abcdef"
      arn_suffix        = "app/shop/0123456789abcdef"
      security_group_id = "sg-0123456789abcdef0"
      priority          = 10
    }
  }

  expect_failures = [var.load_balancer]
}

run "a_weight_of_everything" {
  command = plan

  variables {
    canary_weight = 100
  }

  expect_failures = [var.canary_weight]
}

run "a_name_that_target_groups_cannot_have" {
  command = plan

  variables {
    name = "an-application-with-a-name-too-long"
  }

  expect_failures = [var.name]
}

run "a_turnover_that_ecs_does_not_know" {
  command = plan

  variables {
    turnover = "rolling"
  }

  expect_failures = [var.turnover]
}

run "autoscaling_that_begins_outside_of_its_bounds" {
  command = plan

  variables {
    tasks       = 2
    autoscaling = { min = 4, max = 40 }
  }

  expect_failures = [var.autoscaling]
}

run "autoscaling_by_requests_that_nobody_counts" {
  command = plan

  variables {
    tasks       = 4
    autoscaling = { min = 4, max = 40, requests_per_task = 600 }
  }

  expect_failures = [var.autoscaling]
}

run "a_stop_timeout_that_fargate_does_not_take" {
  command = plan

  variables {
    container = { stop_timeout = 300 }
  }

  expect_failures = [var.container]
}

run "an_architecture_that_fargate_does_not_have" {
  command = plan

  variables {
    cpu_architecture = "arm64"
  }

  expect_failures = [var.cpu_architecture]
}

run "half_a_task" {
  command = plan

  variables {
    tasks = 2.5
  }

  expect_failures = [var.tasks]
}
