# One queue worker in a VPC and a cluster that are there (terraform.tfvars): everything that a first release needs.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 6.25, < 7.0" }
  }
}

variable "vpc_id" { type = string }
variable "subnet_ids" { type = list(string) }
data "aws_ecs_cluster" "default" { cluster_name = "default" }

module "build" {
  source            = "../../modules/build"
  repositories      = ["jobs", "coalmine-worker"]
  classes           = ["jobs"]
  source_repository = "acme/jobs"
}

module "jobs" {
  source           = "../../modules/service"
  name             = "jobs"
  cluster_name     = data.aws_ecs_cluster.default.cluster_name
  vpc_id           = var.vpc_id
  subnet_ids       = var.subnet_ids
  assign_public_ip = true
  repository       = module.build.repositories["jobs"]
}

module "pipeline" {
  source             = "../../modules/pipeline"
  class              = "jobs"
  services           = { jobs = module.jobs.release }
  pool               = module.worker.pool
  source_bucket      = module.build.source_bucket
  source_kms_key_arn = module.build.kms_key_arn
}

module "worker" {
  source           = "../../modules/worker"
  image            = "${module.build.repository_urls["coalmine-worker"]}:8c1f2ab"
  cluster_arn      = data.aws_ecs_cluster.default.arn
  vpc_id           = var.vpc_id
  subnet_ids       = var.subnet_ids
  assign_public_ip = true
  service_arns     = values(module.jobs.service_arns)
  task_role_arns   = module.jobs.role_arns
  log_group_arns   = [module.jobs.log_group_arn]
  repository_arns  = [module.build.repository_arns["jobs"]]
}
