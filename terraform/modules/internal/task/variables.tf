variable "name" {
  description = "Name of the log group, the security group and the execution role, and the container's name."
  type        = string
  nullable    = false
}

variable "image" {
  description = "The container image."
  type        = string
  nullable    = false
}

variable "cpu" {
  description = "CPU units of a task."
  type        = number
  nullable    = false
}

variable "memory" {
  description = "Memory of a task in MiB."
  type        = number
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC of the security group."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the logs."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  nullable    = false
}

variable "definitions" {
  description = "The task definitions by a short name: family, task role, policy of that role as JSON, and what the container runs. The health check is for tasks that stay."
  type = map(object({
    family       = string
    policy       = string
    command      = list(string)
    environment  = map(string)
    health_check = optional(list(string))
    stop_timeout = optional(number)
  }))
  nullable = false
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
  nullable    = false
}
