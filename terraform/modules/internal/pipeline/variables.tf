variable "name" {
  description = "The pipeline's name."
  type        = string
  nullable    = false
}

variable "source_bucket" {
  description = "Name of the bucket of its source."
  type        = string
  nullable    = false
}

variable "source_key" {
  description = "Key of its source in that bucket."
  type        = string
  nullable    = false
}

variable "source_kms_key_arn" {
  description = "ARN of the key of the source, where it is not one of AWS's own."
  type        = string
  default     = null
}

variable "artifact_days" {
  description = "How long artifacts are kept. Without it they are never deleted."
  type        = number
  default     = null
}

variable "approvers" {
  description = "E-mail addresses that are told when an approval waits."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags for everything here."
  type        = map(string)
  default     = {}
  nullable    = false
}
