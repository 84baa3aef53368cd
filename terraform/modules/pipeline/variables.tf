# -- what goes through it --------------------------------------------------------------------------------------------

variable "class" {
  description = "The class of services that this pipeline releases together; it names the pipeline, and the source object CLASS/imagedefinitions.zip."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,23}$", var.class))
    error_message = "Use 1 to 24 lower-case letters, digits and hyphens for class, a letter first: the artifact bucket is named after it, and its name has only 63 characters."
  }
}

variable "services" {
  description = "The pairs of services, by a short name: the output `release` of service modules. Their canaries are deployed at the same time, approved together, and then their full services are turned over."
  type = map(object({
    cluster         = string
    service         = string
    canary_service  = string
    template_family = string
    canary_capacity = string
    canary_alarms   = list(string)
    full_alarms     = list(string)
  }))
  nullable = false

  validation {
    condition     = length(var.services) >= 1 && length(var.services) <= 24
    error_message = "Give services 1 to 24 elements: a stage holds 50 actions, two for each of them and an approval."
  }

  validation {
    condition     = alltrue([for name in keys(var.services) : can(regex("^[A-Za-z0-9_-]{1,60}$", name))])
    error_message = "Use letters, digits, hyphens and underscores for the keys of services: actions and their variables are named after them."
  }
}

variable "pool" {
  description = "The pool of workers that takes the actions: the worker module's output `pool`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,20}$", var.pool))
    error_message = "Use 1 to 20 letters, digits, hyphens and underscores for pool: CodePipeline takes no longer value of a property that workers poll by."
  }
}

variable "source_bucket" {
  description = "Name of the versioned bucket that builds upload to, which tells EventBridge of new objects: the build module's output of that name."
  type        = string
  nullable    = false
}

variable "source_kms_key_arn" {
  description = "ARN of the key of that bucket's objects, where it is not one of AWS's own: the build module's `kms_key_arn`."
  type        = string
  default     = null
}

# -- how it goes -----------------------------------------------------------------------------------------------------

variable "batch_percent" {
  description = "Share of a full service's tasks that is replaced at a time, at least one task."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_percent >= 1 && var.batch_percent <= 100
    error_message = "Set batch_percent to a number from 1 to 100: the percent of the tasks that are replaced at a time."
  }
}

variable "canary_bake_time" {
  description = "How long a canary has to stay well before people are asked, such as `90s`, `5m` or `1h30m`."
  type        = string
  default     = "5m"
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", var.canary_bake_time)) && var.canary_bake_time != ""
    error_message = "Set canary_bake_time to a duration with units, such as \"90s\", \"5m\" or \"1h30m\"."
  }
}

variable "full_bake_time" {
  description = "How long a full service has to stay well after its last batch, such as `90s`, `5m` or `1h30m`."
  type        = string
  default     = "2m"
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", var.full_bake_time)) && var.full_bake_time != ""
    error_message = "Set full_bake_time to a duration with units, such as \"90s\", \"5m\" or \"1h30m\"."
  }
}

variable "canary_options" {
  description = "Rare settings of the canary action, by their keys in `Options`; the project's README lists them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.canary_options) : contains(flatten(local.known_options["Coalmine-Canary"]), replace(key, "/^image\\..+/", "image.<container>"))])
    error_message = "Use only keys in canary_options that Coalmine-Canary knows: ${join(", ", flatten(local.known_options["Coalmine-Canary"]))}."
  }

  validation {
    condition     = alltrue([for value in values(var.canary_options) : !strcontains(value, ",")])
    error_message = "Leave commas out of the values of canary_options: they part the settings from each other."
  }

  validation {
    condition     = !contains(keys(var.canary_options), "mode")
    error_message = "Leave mode out of canary_options: the variable plan says whether there is an action that plans, and a canary that only planned could not be turned over."
  }
}

variable "full_options" {
  description = "Rare settings of the full action, by their keys in `Options`; the project's README lists them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.full_options) : contains(flatten(local.known_options["Coalmine-Full"]), replace(key, "/^image\\..+/", "image.<container>"))])
    error_message = "Use only keys in full_options that Coalmine-Full knows: ${join(", ", flatten(local.known_options["Coalmine-Full"]))}."
  }

  validation {
    condition     = alltrue([for value in values(var.full_options) : !strcontains(value, ",")])
    error_message = "Leave commas out of the values of full_options: they part the settings from each other."
  }
}

# -- who is asked ----------------------------------------------------------------------------------------------------

variable "plan" {
  description = "Whether the first approval shows what the release would do: images old and new, what else changes, batches, alarms that are red. A release that cannot be deployed then fails before anybody is asked."
  type        = bool
  default     = true
  nullable    = false
}

variable "approvers" {
  description = "E-mail addresses that are told when an approval waits. Each has to confirm its subscription."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "review_url" {
  description = "A page that approvers are pointed at, such as a dashboard."
  type        = string
  default     = null
}

variable "approval_timeout_minutes" {
  description = "How long each of the two approvals waits before it counts as rejected. The canary is held for the second one."
  type        = number
  default     = 1440
  nullable    = false

  validation {
    condition     = var.approval_timeout_minutes >= 5 && var.approval_timeout_minutes <= 86400
    error_message = "Set approval_timeout_minutes to 5 to 86400 minutes (60 days): CodePipeline takes nothing else."
  }
}

# -- what it keeps ---------------------------------------------------------------------------------------------------

variable "artifact_days" {
  description = "How long artifacts are kept. A stage can be retried or rolled back only while its artifact is there."
  type        = number
  default     = 90
  nullable    = false
}
