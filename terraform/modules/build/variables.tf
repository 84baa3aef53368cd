variable "name" {
  description = "Name of the build, and the beginning of the names of everything else."
  type        = string
  default     = "coalmine-build"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "Give name 2 to 24 small letters, digits and hyphens, beginning with a letter: it becomes part of the names of roles and buckets."
  }
}

variable "repositories" {
  description = "Names of the ECR repositories that are created and that the build pushes to. The first one goes to the build as REPOSITORY_URI."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.repositories) > 0 && length(distinct(var.repositories)) == length(var.repositories)
    error_message = "Give repositories at least one name, each of them once."
  }
}

variable "image_tag_mutability" {
  description = "IMMUTABLE. Stands here to say so: a tag that moves lets a rollback deploy something else than what ran."
  type        = string
  default     = "IMMUTABLE"
  nullable    = false

  validation {
    condition     = var.image_tag_mutability == "IMMUTABLE"
    error_message = "Leave image_tag_mutability at IMMUTABLE and tag each image with its commit: in a repository with mutable tags nobody can tell what a release deploys."
  }
}

variable "janitor_tag" {
  description = "The tag on the repositories by which the janitor's role may delete in them. null leaves it out, and the janitor can only look."
  type = object({
    key   = string
    value = string
  })
  default = {
    key   = "coalmine:janitor"
    value = "sweep"
  }
}

variable "classes" {
  description = "Classes of services that run the image, each with a pipeline of its own: the build uploads <class>/imagedefinitions.zip for each, in which the container has the class's name. Empty where nothing is deployed by pipeline."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for class in var.classes : can(regex("^[A-Za-z0-9_-]{1,255}$", class))])
    error_message = "Give classes names of containers: letters, digits, hyphens and underscores."
  }
}

# -- What is built -----------------------------------------------------------------------------------------------------

variable "source_repository" {
  description = "The git repository, as owner/name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^/\\s]+(/[^/\\s]+)+$", var.source_repository))
    error_message = "Give source_repository the repository's full name, such as acme/shop."
  }
}

variable "branch" {
  description = "The branch whose commits are built."
  type        = string
  default     = "main"
  nullable    = false
}

variable "connection" {
  description = "The connection to the git host, by ARN. Without one a connection is created; somebody has to confirm it once in the console before the first build."
  type = object({
    arn = string
  })
  default = null
}

variable "connection_provider" {
  description = "The git host of a connection that is created: GitHub, GitLab, Bitbucket and so on."
  type        = string
  default     = "GitHub"
  nullable    = false
}

variable "buildspec" {
  description = "Path of the buildspec in the repository."
  type        = string
  default     = "buildspec.yml"
  nullable    = false
}

variable "environment" {
  description = "Further environment variables of the build. Not for secrets: everybody who may look at the project sees them."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "build_image" {
  description = "The image that the build runs in. It needs docker with buildx."
  type        = string
  default     = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
  nullable    = false
}

variable "compute_type" {
  description = "The size of the machine that builds."
  type        = string
  default     = "BUILD_GENERAL1_LARGE"
  nullable    = false
}

variable "timeout_minutes" {
  description = "How long a build may take."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout_minutes >= 5 && var.timeout_minutes <= 2160
    error_message = "Set timeout_minutes to a number from 5 to 2160, CodeBuild's limits."
  }
}

variable "log_retention_days" {
  description = "How long build logs are kept."
  type        = number
  default     = 365
  nullable    = false
}

variable "kms_key" {
  description = "The KMS key that encrypts images, bucket and logs, by ARN. Its policy has to admit CloudWatch Logs. Without one a key is created. (An object, because Terraform has to know while it plans whether there is one.)"
  type = object({
    arn = string
  })
  default = null
}

variable "tags" {
  description = "Tags for everything that is created here."
  type        = map(string)
  default     = {}
  nullable    = false
}
