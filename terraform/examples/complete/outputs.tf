output "url" {
  description = "Where the shop is."
  value       = "http://${aws_lb.main.dns_name}"
}

output "rollback" {
  description = "The command that starts a rollback of all three, which somebody then approves."
  value       = module.rollback.command
}

output "pipelines" {
  description = "The three pipelines."
  value       = [for pipeline in module.pipeline : pipeline.name]
}
