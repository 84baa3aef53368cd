# -- who it is -------------------------------------------------------------------------------------------------------

variable "name" {
  description = "The application. The full service and its task definition family have this name, the canary's is NAME-canary, the template's is NAME-template."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,23}$", var.name))
    error_message = "Use 1 to 24 lower-case letters, digits and hyphens for name, a letter first: target groups may have 32 characters, and the canary's name is longer by 7."
  }
}

variable "cluster_name" {
  description = "The ECS cluster of both services, by name."
  type        = string
  nullable    = false
}

# -- what it runs ----------------------------------------------------------------------------------------------------

variable "repository" {
  description = "The ECR repository of the container's image: an element of the build module's `repositories`, or an `aws_ecr_repository`, resource or data source, as it is."
  type = object({
    arn                  = string
    repository_url       = string
    image_tag_mutability = string
  })
  nullable = false

  validation {
    condition     = var.repository.image_tag_mutability == "IMMUTABLE"
    error_message = "Set image_tag_mutability = \"IMMUTABLE\" on the repository: its tags can be moved, and then a task that starts next month may run another image than the one that was approved."
  }
}

variable "container" {
  description = "The container that releases replace. `name` is what imagedefinitions.json calls it, by default the application's name; `secrets` and `parameters` map environment variables to ARNs of Secrets Manager and of the Parameter Store; without `port` nothing can be balanced to it."
  type = object({
    name       = optional(string)
    port       = optional(number)
    command    = optional(list(string))
    user       = optional(string)
    variables  = optional(map(string), {})
    secrets    = optional(map(string), {})
    parameters = optional(map(string), {})
    health_check = optional(object({
      command      = list(string)
      interval     = optional(number, 10)
      timeout      = optional(number, 5)
      retries      = optional(number, 3)
      start_period = optional(number, 30)
    }))
    stop_timeout              = optional(number, 30)
    read_only_root_filesystem = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.container.stop_timeout >= 2 && var.container.stop_timeout <= 120
    error_message = "Set container.stop_timeout to 2 to 120 seconds: Fargate takes nothing else."
  }
}

variable "sidecars" {
  description = "Further containers, as `containerDefinitions` of ECS has them. Releases leave them alone."
  type        = any
  default     = []
  nullable    = false
}

variable "sidecar_repository_arns" {
  description = "ECR repositories that the sidecars' images are pulled from."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "cpu" {
  description = "CPU units of a task; 1,024 are one vCPU."
  type        = number
  default     = 256
  nullable    = false
}

variable "memory" {
  description = "Memory of a task, in MiB."
  type        = number
  default     = 512
  nullable    = false
}

variable "cpu_architecture" {
  description = "What the tasks run on: `ARM64` or `X86_64`."
  type        = string
  default     = "ARM64"
  nullable    = false

  validation {
    condition     = contains(["ARM64", "X86_64"], var.cpu_architecture)
    error_message = "Set cpu_architecture to ARM64 or X86_64."
  }
}

variable "task_policies" {
  description = "Policies of the task role, as JSON by name: what the application itself may do at AWS."
  type        = map(string)
  default     = {}
  nullable    = false
}

# -- how much of it --------------------------------------------------------------------------------------------------

variable "tasks" {
  description = "How many tasks the full service has. Changes take effect, because Application Auto Scaling holds the service to this number; with `autoscaling` it is only where the service begins."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.tasks >= 1 && var.tasks <= 5000 && floor(var.tasks) == var.tasks
    error_message = "Set tasks to a whole number from 1 to 5000."
  }
}

variable "canary_capacity" {
  description = "The size of the canary: a number of tasks (`1`), or a share of all tasks of both services (`10%`)."
  type        = string
  default     = "1"
  nullable    = false

  validation {
    condition = anytrue([
      can(regex("^[1-9][0-9]{0,3}$", var.canary_capacity)) && try(tonumber(var.canary_capacity) <= 5000, false),
      can(regex("^[0-9]{1,2}(\\.[0-9])?%$", var.canary_capacity)) && try(tonumber(trimsuffix(var.canary_capacity, "%")) > 0, false),
    ])
    error_message = "Set canary_capacity to a number of tasks from 1 to 5000, such as \"1\", or to a share of all tasks below 100%, such as \"10%\" or \"2.5%\"."
  }
}

variable "turnover" {
  description = "How the full service is turned over: `in-place` stops old tasks before new ones start, `surge` starts new ones first. It decides `availability_zone_rebalancing`, which ECS only has where tasks may surge."
  type        = string
  default     = "in-place"
  nullable    = false

  validation {
    condition     = contains(["in-place", "surge"], var.turnover)
    error_message = "Set turnover to \"in-place\" (no more tasks than there are now, a batch is missing) or \"surge\" (never fewer tasks, a batch is extra)."
  }
}

variable "autoscaling" {
  description = "Bounds of the full service's tasks and what they follow: average CPU in percent and, behind a load balancer, requests per task and minute. The canary never scales."
  type = object({
    min               = number
    max               = number
    cpu_percent       = optional(number, 60)
    requests_per_task = optional(number)
  })
  default = null

  validation {
    condition     = try(var.autoscaling.min >= 1 && var.autoscaling.min <= var.tasks && var.tasks <= var.autoscaling.max, var.autoscaling == null)
    error_message = "Set autoscaling.min to at least 1, and tasks to a number between autoscaling.min and autoscaling.max."
  }

  validation {
    condition     = try(var.autoscaling.requests_per_task, null) == null || var.load_balancer != null
    error_message = "Leave autoscaling.requests_per_task out, or set load_balancer: without one nobody counts requests."
  }
}

# -- where it runs ---------------------------------------------------------------------------------------------------

variable "vpc_id" {
  description = "The VPC of the tasks."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "The subnets of the tasks."
  type        = list(string)
  nullable    = false
}

variable "security_group_ids" {
  description = "Security groups of the tasks beside the module's own, such as one that the database admits."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "assign_public_ip" {
  description = "Whether tasks have public addresses: only for public subnets, where they have no other way out."
  type        = bool
  default     = false
  nullable    = false
}

variable "load_balancer" {
  description = "The application load balancer's listener to stand behind, which requests are ours, and how targets are asked for their health. Null for queue workers."
  type = object({
    listener_arn         = string
    arn_suffix           = string
    security_group_id    = string
    priority             = number
    host_headers         = optional(list(string), [])
    path_patterns        = optional(list(string), [])
    health_check_path    = optional(string, "/")
    health_check_grace   = optional(number, 60)
    deregistration_delay = optional(number, 30)
  })
  default = null

  validation {
    condition     = try(length(var.load_balancer.host_headers) + length(var.load_balancer.path_patterns) > 0, var.load_balancer == null)
    error_message = "Name at least one of load_balancer.host_headers and load_balancer.path_patterns: a listener rule has to know which requests are this application's."
  }

  validation {
    condition     = var.load_balancer == null || var.container.port != null
    error_message = "Set container.port, or leave load_balancer out: a load balancer needs a port to send requests to."
  }
}

variable "canary_target_group" {
  description = "Whether the canary has a target group of its own, under one weighted rule: its errors and latency are then measured apart from the full service's. Otherwise both share one, and each task gets its equal share of requests."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.canary_target_group || var.load_balancer != null
    error_message = "Set load_balancer, or leave canary_target_group out: a canary without a load balancer has no target group."
  }
}

variable "canary_weight" {
  description = "Percent of the requests that go to the canary's own target group; only with `canary_target_group`."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.canary_weight >= 1 && var.canary_weight <= 99 && floor(var.canary_weight) == var.canary_weight
    error_message = "Set canary_weight to a whole number from 1 to 99: the percent of the requests that the canary gets."
  }
}

variable "queue_name" {
  description = "The SQS queue that queue workers take from; its alarms belong to the release."
  type        = string
  default     = null
}

# -- how it is watched -----------------------------------------------------------------------------------------------

variable "alarms" {
  description = "When alarms turn red; 0 leaves one out. 5xx and log errors per minute, latency as the 95th percentile in seconds, unhealthy targets, age of the oldest message in seconds and number of messages in the queue, CPU and memory in percent."
  type = object({
    http_5xx        = optional(number, 5)
    latency         = optional(number, 2)
    unhealthy_hosts = optional(number, 1)
    queue_age       = optional(number, 900)
    queue_depth     = optional(number, 1000)
    cpu             = optional(number, 95)
    memory          = optional(number, 90)
    log_errors      = optional(number, 10)
  })
  default  = {}
  nullable = false
}

variable "log_errors" {
  description = "How an error looks in the application's JSON logs, and which field names the service that logged it (the task metadata's `ServiceName`). The two services write into one log group: the field tells their errors apart. Null where logs are not JSON."
  type = object({
    condition     = optional(string, "$.level = \"error\"")
    service_field = optional(string, "$.service")
  })
  default = null
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms tell when they turn red and when they are OK again."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "log_retention_days" {
  description = "How long log lines are kept."
  type        = number
  default     = 30
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key of the log group; its policy has to admit CloudWatch Logs. Null: CloudWatch's own encryption."
  type        = string
  default     = null
}

variable "secrets_kms_key_arns" {
  description = "KMS keys of the secrets and parameters, where they are not AWS's own."
  type        = list(string)
  default     = []
  nullable    = false
}
