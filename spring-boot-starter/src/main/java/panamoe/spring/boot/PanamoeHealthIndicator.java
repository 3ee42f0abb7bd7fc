package panamoe.spring.boot;

import org.springframework.boot.health.contributor.AbstractHealthIndicator;
import org.springframework.boot.health.contributor.Health;
import panamoe.text.TextService;

/** Up while the service is open; tells how many requests run or wait. */
final class PanamoeHealthIndicator extends AbstractHealthIndicator {
  private final TextService service;

  PanamoeHealthIndicator(TextService service) {
    this.service = service;
  }

  @Override
  protected void doHealthCheck(Health.Builder builder) {
    if (service.isClosed()) {
      builder.down();
    } else {
      builder.up();
    }
    builder
        .withDetail("context", service.model().context())
        .withDetail("unfinished", service.unfinished());
  }
}
