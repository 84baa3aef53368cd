# From a commit to an image: repositories, a CodeBuild project, and the pipeline that starts it for each commit. At its
# end a build uploads <class>/imagedefinitions.zip, and the pipelines that deploy begin there. permissions.tf holds the
# roles.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.region

  kms_key_arn    = var.kms_key == null ? module.key[0].arn : var.kms_key.arn
  connection_arn = var.connection == null ? aws_codestarconnections_connection.this[0].arn : var.connection.arn

  environment = merge(
    {
      CLASSES         = join(" ", var.classes)
      REPOSITORY_URI  = aws_ecr_repository.this[var.repositories[0]].repository_url
      REPOSITORY_URIS = join(" ", [for name in var.repositories : aws_ecr_repository.this[name].repository_url])
      SOURCE_BUCKET   = module.source.name
    },
    var.environment,
  )
}

module "key" {
  source = "../internal/key"
  count  = var.kms_key == null ? 1 : 0

  name        = var.name
  description = "${var.name}: images, sources and logs"
  tags        = var.tags
}

# -- Images ------------------------------------------------------------------------------------------------------------

resource "aws_ecr_repository" "this" {
  for_each = toset(var.repositories)

  name                 = each.value
  image_tag_mutability = var.image_tag_mutability
  tags                 = merge(var.tags, var.janitor_tag == null ? {} : { (var.janitor_tag.key) = var.janitor_tag.value })

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = local.kms_key_arn
  }
}

# -- What starts pipelines ---------------------------------------------------------------------------------------------

# Versioned, because CodePipeline's source names a version of an object; nothing expires, so that an old execution can be
# retried.
module "source" {
  source = "../internal/bucket"

  prefix          = "${var.name}-source"
  kms_key_arn     = local.kms_key_arn
  noncurrent_days = 365
  events          = true
  tags            = var.tags
}

# What the build's own pipeline hands from one stage to the next.
module "artifacts" {
  source = "../internal/bucket"

  prefix          = "${var.name}-commits"
  kms_key_arn     = local.kms_key_arn
  expiration_days = 30
  tags            = var.tags
}

# -- The build ---------------------------------------------------------------------------------------------------------

resource "aws_codestarconnections_connection" "this" {
  count = var.connection == null ? 1 : 0

  name          = var.name
  provider_type = var.connection_provider
  tags          = var.tags
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/codebuild/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = var.tags
}

resource "aws_codebuild_project" "this" {
  #checkov:skip=CKV_AWS_316:Docker needs it. The machine is the build's own, and gone after it.
  name           = var.name
  description    = "Builds images of ${var.source_repository} for arm64 and amd64"
  service_role   = aws_iam_role.build.arn
  build_timeout  = var.timeout_minutes
  encryption_key = local.kms_key_arn
  tags           = var.tags

  source {
    type      = "CODEPIPELINE"
    buildspec = var.buildspec
  }

  artifacts {
    type = "CODEPIPELINE"
  }

  environment {
    type            = "LINUX_CONTAINER"
    image           = var.build_image
    compute_type    = var.compute_type
    privileged_mode = true

    dynamic "environment_variable" {
      for_each = local.environment

      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }

  # What docker built before on the same machine, where AWS still has it.
  cache {
    type  = "LOCAL"
    modes = ["LOCAL_DOCKER_LAYER_CACHE"]
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.this.name
    }
  }
}

resource "aws_codepipeline" "this" {
  name           = var.name
  role_arn       = aws_iam_role.pipeline.arn
  pipeline_type  = "V2"
  execution_mode = "QUEUED"
  tags           = var.tags

  artifact_store {
    type     = "S3"
    location = module.artifacts.name

    encryption_key {
      type = "KMS"
      id   = local.kms_key_arn
    }
  }

  stage {
    name = "Source"

    action {
      name             = "Commit"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      output_artifacts = ["commit"]

      configuration = {
        ConnectionArn    = local.connection_arn
        FullRepositoryId = var.source_repository
        BranchName       = var.branch
        DetectChanges    = "true"
      }
    }
  }

  stage {
    name = "Build"

    action {
      name            = "Build"
      category        = "Build"
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      input_artifacts = ["commit"]

      configuration = {
        ProjectName = aws_codebuild_project.this.name
      }
    }
  }

  # CodePipeline tries its role when the pipeline is made.
  depends_on = [aws_iam_role_policy.pipeline]
}
