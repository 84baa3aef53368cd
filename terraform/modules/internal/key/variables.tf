variable "name" {
  description = "The key's alias."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What the key encrypts."
  type        = string
  nullable    = false
}

variable "publishers" {
  description = "AWS services that publish to topics which the key encrypts."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags for the key."
  type        = map(string)
  default     = {}
  nullable    = false
}
