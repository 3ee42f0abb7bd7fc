package panamoe.spring.boot;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;
import panamoe.api.PanamoeException;

/** Explains in a sentence why an application with a model does not start. */
final class PanamoeFailureAnalyzer extends AbstractFailureAnalyzer<PanamoeException> {
  @Override
  protected FailureAnalysis analyze(Throwable failure, PanamoeException cause) {
    return new FailureAnalysis(
        cause.getMessage(), "Correct the properties panamoe.* or the model they name.", cause);
  }
}
