package panamoe.spring.boot;

import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.health.autoconfigure.contributor.ConditionalOnEnabledHealthIndicator;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import panamoe.text.TextService;

/** Tells the health of the service, if the application has {@code spring-boot-health}. */
@AutoConfiguration(after = PanamoeAutoConfiguration.class)
@ConditionalOnClass(HealthIndicator.class)
@ConditionalOnEnabledHealthIndicator("panamoe")
public final class PanamoeHealthAutoConfiguration {
  @Bean
  @ConditionalOnBean(TextService.class)
  @ConditionalOnMissingBean(name = "panamoeHealthIndicator")
  HealthIndicator panamoeHealthIndicator(TextService service) {
    return new PanamoeHealthIndicator(service);
  }
}
