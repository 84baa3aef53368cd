# One queue worker in the default VPC and the default cluster: everything that a first release needs.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 6.25, < 7.0" }
  }
}

data "aws_vpc" "default" { default = true }
data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
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
  vpc_id           = data.aws_vpc.default.id
  subnet_ids       = data.aws_subnets.default.ids
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
  vpc_id           = data.aws_vpc.default.id
  subnet_ids       = data.aws_subnets.default.ids
  assign_public_ip = true
  service_arns     = values(module.jobs.service_arns)
  task_role_arns   = module.jobs.role_arns
  log_group_arns   = [module.jobs.log_group_arn]
  repository_arns  = [module.build.repository_arns["jobs"]]
}
