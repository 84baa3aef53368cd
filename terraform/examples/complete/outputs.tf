output "url" {
  description = "Where the shop is."
  value       = "http://${aws_lb.main.dns_name}"
}

output "pipelines" {
  description = "The three pipelines."
  value       = [for pipeline in module.pipeline : pipeline.name]
}
