variable "name" {
  description = "Name of the schedule, and the beginning of the names of everything else."
  type        = string
  default     = "coalmine-janitor"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "Give name 2 to 24 small letters, digits and hyphens, beginning with a letter: it becomes part of the names of roles and buckets."
  }
}

variable "sweep" {
  description = "Whether the schedule deletes images. Without it every run only plans, and says what it would delete and why: look at a few of those reports first."
  type        = bool
  default     = false
  nullable    = false
}

variable "policy" {
  description = "The policy, as the text of a TOML file: file(\"janitor.toml\"). `coalmine-janitor init` writes a commented one. A repository that no rule names is not touched."
  type        = string
  nullable    = false

  validation {
    condition     = length(trimspace(var.policy)) > 0 && length(var.policy) <= 20000
    error_message = "Give policy the text of a TOML file of at most 20,000 characters, such as file(\"janitor.toml\"); coalmine-janitor init writes one to begin with."
  }
}

variable "schedule_expression" {
  description = "When the janitor runs, as cron(...) or rate(...). Two runs have to agree before an image is deleted, 20 hours apart by default: daily suits."
  type        = string
  default     = "cron(17 3 * * ? *)"
  nullable    = false
}

variable "schedule_timezone" {
  description = "The time zone of schedule_expression."
  type        = string
  default     = "UTC"
  nullable    = false
}

# -- Where it runs -----------------------------------------------------------------------------------------------------

variable "image" {
  description = "The janitor's container image, by tag or digest. It has to have the architecture arm64."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name image by a tag that does not move, or by digest (repository:tag or repository@sha256:...): with latest nobody knows which janitor runs."
  }
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster that the janitor's task runs in. It needs the capacity provider FARGATE."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:cluster/", var.cluster_arn))
    error_message = "Give cluster_arn an ECS cluster's ARN, such as arn:aws:ecs:eu-central-1:123456789012:cluster/main."
  }
}

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "The subnets that the task runs in. They need a way to the AWS APIs: a NAT gateway, VPC endpoints, or public subnets with assign_public_ip."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "Give subnet_ids at least one subnet with a way to the AWS APIs."
  }
}

variable "assign_public_ip" {
  description = "Whether the task gets a public address. Needed only in subnets that have neither a NAT gateway nor VPC endpoints."
  type        = bool
  default     = false
  nullable    = false
}

variable "cpu" {
  description = "CPU units of the task (1024 = one vCPU), in a combination that Fargate offers."
  type        = number
  default     = 512
  nullable    = false
}

variable "memory" {
  description = "Memory of the task in MiB, in a combination that Fargate offers."
  type        = number
  default     = 1024
  nullable    = false
}

variable "log_retention_days" {
  description = "How long logs, and with them the reports, are kept."
  type        = number
  default     = 365
  nullable    = false
}

# -- What it remembers and what it may do ------------------------------------------------------------------------------

variable "state" {
  description = "The bucket that holds the janitor's state, by name, and the KMS key that encrypts it and the logs, by ARN: the worker's ledger bucket and key serve. The key's policy has to admit CloudWatch Logs. Without it both are created."
  type = object({
    bucket      = string
    kms_key_arn = string
  })
  default = null
}

variable "state_prefix" {
  description = "The prefix of the janitor's objects in that bucket. Keep-lists that the policy names by s3://... belong there, too: the role may read nothing else."
  type        = string
  default     = "janitor"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.state_prefix))
    error_message = "Give state_prefix letters, digits, hyphens and underscores, in parts separated by single slashes, such as janitor."
  }
}

variable "ledger_prefix" {
  description = "The prefix of the worker's ledger where it is in the same bucket and the policy names it (ledger = \"s3://...\"), so that images which a rollback may need are kept."
  type        = string
  default     = null
}

variable "repository_tag" {
  description = "The tag that a repository has to carry before the janitor's role may delete anything in it. The policy file alone is not enough."
  type = object({
    key   = string
    value = string
  })
  default = {
    key   = "coalmine:janitor"
    value = "sweep"
  }
  nullable = false
}

variable "reader_role_arns" {
  description = "ARNs of roles in other accounts that the janitor assumes to read what refers to images there. The policy file names them, too."
  type        = list(string)
  default     = []
  nullable    = false
}

# -- Who is told -------------------------------------------------------------------------------------------------------

variable "alarm_actions" {
  description = "ARNs of what is told when one of the janitor's alarms goes off, such as an SNS topic."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags for everything that is created here."
  type        = map(string)
  default     = {}
  nullable    = false
}
