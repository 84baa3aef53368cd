# -- what goes back --------------------------------------------------------------------------------------------------

variable "name" {
  description = "Name of the pipeline, and the beginning of the names of everything else."
  type        = string
  default     = "rollback"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "Give name 2 to 24 small letters, digits and hyphens, beginning with a letter: it becomes part of the names of roles and buckets."
  }
}

variable "cluster" {
  description = "Name of the ECS cluster of the services. A pipeline is for one cluster."
  type        = string
  nullable    = false
}

variable "services" {
  description = "Names of the full services that go back where an execution does not say otherwise. Their canaries go with them."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.services) >= 1 && length(var.services) <= 30 && length(distinct(var.services)) == length(var.services)
    error_message = "Give services 1 to 30 names, each once: one action returns no more."
  }

  validation {
    condition     = alltrue([for name in var.services : can(regex("^[A-Za-z0-9_-]{1,255}$", name))]) && length(join(",", var.services)) <= 1000
    error_message = "Give services names of ECS services, letters, digits, hyphens and underscores, together at most 1,000 characters: they are the default of a pipeline's variable."
  }
}

variable "pool" {
  description = "The pool of workers that takes the action: the worker module's output `pool`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,20}$", var.pool))
    error_message = "Use 1 to 20 letters, digits, hyphens and underscores for pool: CodePipeline takes no longer value of a property that workers poll by."
  }
}

variable "source_bucket" {
  description = "Name of a versioned bucket with an object that is there: the build module's output of that name. CodePipeline wants a source; nothing of it is read, and no upload starts this pipeline."
  type        = string
  nullable    = false
}

variable "source_key" {
  description = "Key of that object: the output `source_key` of a pipeline module, whose object is there as soon as there is something to go back to."
  type        = string
  nullable    = false
}

variable "source_kms_key_arn" {
  description = "ARN of the key of that object, where it is not one of AWS's own: the build module's `kms_key_arn`. (As the pipeline module has it.)"
  type        = string
  default     = null
}

variable "options" {
  description = "Rare settings of the action, by their keys in `Options`; the project's README lists them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.options) : contains(local.known_options, replace(key, "/^canary\\..+/", "canary.<service>"))])
    error_message = "Use only keys in options that Coalmine-Rollback knows: ${join(", ", local.known_options)}."
  }

  validation {
    condition     = alltrue([for value in values(var.options) : !strcontains(value, ",")])
    error_message = "Leave commas out of the values of options: they part the settings from each other."
  }
}

# -- who is asked ----------------------------------------------------------------------------------------------------

variable "approvers" {
  description = "E-mail addresses that are told when a rollback waits for its approval. Each has to confirm its subscription."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "approval_timeout_minutes" {
  description = "How long the approval waits before it counts as rejected. Whoever starts a rollback is in a hurry."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.approval_timeout_minutes >= 5 && var.approval_timeout_minutes <= 86400
    error_message = "Set approval_timeout_minutes to 5 to 86400 minutes (60 days): CodePipeline takes nothing else."
  }
}

variable "tags" {
  description = "Tags for everything that is created here."
  type        = map(string)
  default     = {}
  nullable    = false
}
