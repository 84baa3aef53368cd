variable "name" {
  description = "Name of the service, and the beginning of the names of everything else. One per fleet of workers in an account and region."
  type        = string
  default     = "coalmine-worker"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "Give name 2 to 24 small letters, digits and hyphens, beginning with a letter: it becomes part of the names of roles and buckets."
  }
}

variable "pool" {
  description = "The pool whose jobs these workers take: the value of the property Pool in the pipelines' actions."
  type        = string
  default     = "default"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,20}$", var.pool))
    error_message = "Give pool 1 to 20 letters, digits, hyphens and underscores: CodePipeline refuses longer values of a queryable property."
  }
}

variable "create_action_types" {
  description = "Whether the action types are created here. They belong to an account and region, so only one fleet of workers may create them; set false for the others."
  type        = bool
  default     = true
  nullable    = false
}

# -- Where the workers run ---------------------------------------------------------------------------------------------

variable "image" {
  description = "The worker's container image, by tag or digest, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/coalmine-worker:8c1f2ab. It has to have the architecture arm64."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name image by a tag that does not move, or by digest (repository:tag or repository@sha256:...): with latest nobody knows which worker runs."
  }
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster that the workers run in. It needs the capacity provider FARGATE."
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
  description = "The subnets that the workers run in, best two in different availability zones. They need a way to the AWS APIs: a NAT gateway, VPC endpoints, or public subnets with assign_public_ip."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "Give subnet_ids at least one subnet with a way to the AWS APIs."
  }
}

variable "assign_public_ip" {
  description = "Whether tasks get a public address. Needed only in subnets that have neither a NAT gateway nor VPC endpoints."
  type        = bool
  default     = false
  nullable    = false
}

variable "desired_count" {
  description = "How many workers run. With two, a peer takes over within about a minute of a death."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.desired_count >= 1 && var.desired_count <= 20 && floor(var.desired_count) == var.desired_count
    error_message = "Set desired_count to a whole number from 1 to 20; two workers are enough for hundreds of services."
  }
}

variable "cpu" {
  description = "CPU units of a task (1024 = one vCPU), in a combination that Fargate offers."
  type        = number
  default     = 256
  nullable    = false
}

variable "memory" {
  description = "Memory of a task in MiB, in a combination that Fargate offers."
  type        = number
  default     = 512
  nullable    = false
}

# -- How they work -----------------------------------------------------------------------------------------------------

variable "jobs" {
  description = "How many jobs one worker holds at a time (--jobs)."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.jobs >= 1 && var.jobs <= 1000
    error_message = "Set jobs to a number from 1 to 1000."
  }
}

variable "linger" {
  description = "How long a job is held before it is handed back, so that its progress shows in the console (--linger)."
  type        = string
  default     = "60s"
  nullable    = false
}

variable "log_filter" {
  description = "How much is logged (--log): error, warn, info, debug, or per module."
  type        = string
  default     = "info"
  nullable    = false
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365
  nullable    = false
}

variable "ledger_prefix" {
  description = "The prefix of the workers' objects in the ledger's bucket."
  type        = string
  default     = "worker"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.ledger_prefix))
    error_message = "Give ledger_prefix letters, digits, hyphens and underscores, in parts separated by single slashes, such as worker or teams/a."
  }
}

variable "kms_key" {
  description = "The KMS key that encrypts ledger, logs and the releases' topic, by ARN. Its policy has to admit CloudWatch Logs and EventBridge (kms:Decrypt and kms:GenerateDataKey for events.amazonaws.com). Without one a key is created. (An object, because Terraform has to know while it plans whether there is one.)"
  type = object({
    arn = string
  })
  default = null
}

# -- What they may do --------------------------------------------------------------------------------------------------
# Everything that a worker may touch is named here; its policy has no other resources.

variable "service_arns" {
  description = "ARNs of the ECS services that the workers deploy to, canary and full services; * stands for any characters, as in arn:aws:ecs:eu-central-1:123456789012:service/main/*."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.service_arns : can(regex("^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:service/[^/]+/[^/]+$", arn))])
    error_message = "Give service_arns ARNs with the cluster's name in them, such as arn:aws:ecs:eu-central-1:123456789012:service/main/shop."
  }
}

variable "task_role_arns" {
  description = "ARNs of the task roles and execution roles of the task definitions that the workers register. They may pass these roles to ECS tasks, and no others."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.task_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*?]+$", arn))])
    error_message = "Give task_role_arns the roles' ARNs without wildcards: whoever may pass any role may become anything."
  }
}

variable "repository_arns" {
  description = "ARNs of the ECR repositories that hold the images of the releases."
  type        = list(string)
  nullable    = false
}

variable "log_group_arns" {
  description = "ARNs of the log groups of the services, for the log lines in failure messages. Without them these lines are left out."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "pipeline_arns" {
  description = "ARNs of the pipelines that use the actions. Without them the workers may look at the executions of all pipelines of the account and region."
  type        = list(string)
  default     = null
}

# -- Who is told -------------------------------------------------------------------------------------------------------

variable "alarm_actions" {
  description = "ARNs of what is told when one of the workers' own alarms goes off, such as an SNS topic."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "release_subscriptions" {
  description = "Who is told when a release reaches another state, by a name of your choice: protocol and endpoint of an SNS subscription, such as { team = { protocol = \"email\", endpoint = \"team@example.com\" } }. An address has to confirm its subscription."
  type = map(object({
    protocol = string
    endpoint = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for subscription in values(var.release_subscriptions) : contains(["application", "email", "email-json", "firehose", "https", "lambda", "sms", "sqs"], subscription.protocol)])
    error_message = "Set protocol in each of release_subscriptions to application, email, email-json, firehose, https, lambda, sms or sqs: over plain http what is released could be read by anybody."
  }
}

variable "tags" {
  description = "Tags for everything that is created here."
  type        = map(string)
  default     = {}
  nullable    = false
}
