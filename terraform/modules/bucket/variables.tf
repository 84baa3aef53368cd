variable "prefix" {
  description = "The beginning of the bucket's name; Terraform appends something unique."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,36}$", var.prefix))
    error_message = "Give prefix 2 to 37 small letters, digits and hyphens: 26 more characters have to fit."
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
