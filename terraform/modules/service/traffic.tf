# -- security group --------------------------------------------------------------------------------------------------

resource "aws_security_group" "this" {
  name        = "${var.name}-tasks"
  description = "Tasks of ${var.name} and its canary"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  count = local.balanced ? 1 : 0

  security_group_id            = aws_security_group.this.id
  description                  = "Requests from the load balancer"
  referenced_security_group_id = var.load_balancer.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.container.port
  to_port                      = var.container.port
}

resource "aws_vpc_security_group_egress_rule" "all" {
  #checkov:skip=CKV_AWS_382:an application calls databases, AWS and third parties; what admits it is their side
  security_group_id = aws_security_group.this.id
  description       = "Whatever the application calls"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

# -- target groups and their rule ------------------------------------------------------------------------------------

locals {
  target_groups = local.balanced ? toset(var.canary_target_group ? ["full", "canary"] : ["full"]) : toset([])

  # Which target group a service stands in: both in the full service's, unless the canary has its own.
  target_group_of = {
    for role in keys(local.pair) : role => try(aws_lb_target_group.this[role].arn, aws_lb_target_group.this["full"].arn, null)
  }

  weights = { full = 100 - var.canary_weight, canary = var.canary_weight }
}

resource "aws_lb_target_group" "this" {
  #checkov:skip=CKV_AWS_378:requests are encrypted up to the load balancer; from there on they stay inside of the VPC
  for_each = local.target_groups

  name                 = local.pair[each.key].name
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = var.container.port
  deregistration_delay = var.load_balancer.deregistration_delay

  health_check {
    path                = var.load_balancer.health_check_path
    matcher             = "200-399"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

# One rule for both: where the canary has a target group of its own, the weights divide the requests.
resource "aws_lb_listener_rule" "this" {
  count = local.balanced ? 1 : 0

  listener_arn = var.load_balancer.listener_arn
  priority     = var.load_balancer.priority

  action {
    type = "forward"

    forward {
      dynamic "target_group" {
        for_each = aws_lb_target_group.this

        content {
          arn    = target_group.value.arn
          weight = length(local.target_groups) > 1 ? local.weights[target_group.key] : 100
        }
      }
    }
  }

  dynamic "condition" {
    for_each = length(var.load_balancer.host_headers) > 0 ? [var.load_balancer.host_headers] : []

    content {
      host_header {
        values = condition.value
      }
    }
  }

  dynamic "condition" {
    for_each = length(var.load_balancer.path_patterns) > 0 ? [var.load_balancer.path_patterns] : []

    content {
      path_pattern {
        values = condition.value
      }
    }
  }
}
