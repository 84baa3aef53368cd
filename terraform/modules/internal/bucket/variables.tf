variable "prefix" {
  description = "The beginning of the bucket's name; account and region follow, so that it is the only one of its name in the world."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,34}$", var.prefix))
    error_message = "Give prefix 2 to 35 small letters, digits and hyphens: account and region have to fit into the 63 characters of a bucket's name."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the objects."
  type        = string
  nullable    = false
}

variable "noncurrent_days" {
  description = "How long former versions of objects are kept."
  type        = number
  default     = 30
  nullable    = false
}

variable "expiration_days" {
  description = "How long objects are kept. Without it they are never deleted."
  type        = number
  default     = null
}

variable "events" {
  description = "Whether EventBridge is told of uploads."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags for the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
