# The build, on an account that is imagined.

provider "aws" {
  region = "eu-central-1"
}

variables {
  repositories      = ["shop", "coalmine-worker"]
  classes           = ["app", "search"]
  source_repository = "acme/shop"
}

run "images_whose_tags_do_not_move" {
  command = plan

  assert {
    condition = alltrue([
      for repository in aws_ecr_repository.this :
      repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push && repository.encryption_configuration[0].encryption_type == "KMS"
    ])
    error_message = "Repositories should be immutable, scanned and encrypted."
  }

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.tags["coalmine:janitor"] == "sweep"])
    error_message = "Repositories should carry the janitor's tag."
  }
}

run "a_build_can_only_push_and_start_pipelines" {
  command = apply

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.build.policy).Statement : statement.Resource if statement.Sid == "StartPipelines"
      ] == [[
        "arn:aws:s3:::coalmine-build-source-123456789012-eu-central-1/search/imagedefinitions.zip",
        "arn:aws:s3:::coalmine-build-source-123456789012-eu-central-1/app/imagedefinitions.zip",
    ]]
    error_message = "A build should upload the classes' zips, and nothing else."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.build.policy, "Delete") && !strcontains(aws_iam_role_policy.build.policy, "ecr:*")
    error_message = "A build should not be able to delete an image: its tag would be free again."
  }

  assert {
    condition     = output.repository_urls["shop"] == "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop"
    error_message = "Repositories should be found by name."
  }

  assert {
    condition     = [for variable in aws_codebuild_project.this.environment[0].environment_variable : variable.value if variable.name == "CLASSES"] == ["app search"]
    error_message = "The build should be told the classes."
  }
}

run "a_build_of_images_alone_starts_nothing" {
  command = apply

  variables {
    classes = []
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.build.policy, "StartPipelines")
    error_message = "Without classes nothing should be uploaded."
  }
}

run "a_repository_with_mutable_tags" {
  command = plan

  variables {
    image_tag_mutability = "MUTABLE"
  }

  expect_failures = [var.image_tag_mutability]
}

run "a_repository_twice" {
  command = plan

  variables {
    repositories = ["shop", "shop"]
  }

  expect_failures = [var.repositories]
}

run "a_class_that_is_no_container" {
  command = plan

  variables {
    classes = ["my app"]
  }

  expect_failures = [var.classes]
}

run "everything_that_can_be_wrong_at_once" {
  command = plan

  variables {
    name              = "b"
    source_repository = "shop"
    timeout_minutes   = 1
  }

  expect_failures = [var.name, var.source_repository, var.timeout_minutes]
}
