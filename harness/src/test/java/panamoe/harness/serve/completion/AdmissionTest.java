package panamoe.harness.serve.completion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Limits;

/** Two sequences run, three wait, with prompts of ten tokens. */
class AdmissionTest {
  private final Admission admission = new Admission(limits(Limits.Queue.ANY_WAIT));

  private static Limits.Queue limits(Duration wait) {
    return new Limits.Queue(2, 3, 10, wait);
  }

  private static CompletionRequest request(int n, int promptTokens) {
    GenerationRequest prompt =
        GenerationRequest.of(
            new int[promptTokens], SamplingConfig.GREEDY, StopConfig.of(1, List.of()));
    return new CompletionRequest(
        List.of(prompt), n, new CompletionRequest.Delivery(false, false, false));
  }

  private ApiError refused(int n, int promptTokens) {
    return assertThrows(ApiError.class, () -> admission.admit(request(n, promptTokens)));
  }

  @Test
  void textsAreCounted() {
    Admission.Slots three = admission.admit(request(3, 1));
    admission.admit(request(2, 1));
    ApiError full = refused(1, 1);
    assertEquals(429, full.status());
    assertEquals("3 sequences wait, the server's bound is 3", full.getMessage());
    assertEquals("true", full.headers().get("x-should-retry"));
    three.close();
    admission.admit(request(3, 1));
    assertEquals(400, refused(6, 1).status());
  }

  @Test
  void tokensOfPromptsAreCountedUntilTheyAreComputed() {
    Admission.Slots alone = admission.admit(request(1, 50));
    assertEquals(429, refused(1, 1).status());
    alone.computed(50);
    Admission.Slots six = admission.admit(request(1, 6));
    assertEquals("prompts of 6 tokens wait, the server's bound is 10", refused(1, 5).getMessage());
    six.close();
    six.computed(6); // called late
    admission.admit(request(1, 10));
    assertEquals(429, refused(1, 1).status());
  }

  @Test
  void whoWouldWaitTooLongIsRefused() throws InterruptedException {
    Admission soon = new Admission(limits(Duration.ofMillis(1)));
    Admission.Slots slow = soon.admit(request(1, 1));
    Thread.sleep(50);
    slow.close();
    soon.admit(request(2, 1)); // these run at once
    ApiError late = assertThrows(ApiError.class, () -> soon.admit(request(1, 1)));
    assertEquals(429, late.status());
    assertTrue(late.getMessage().endsWith("s, the server's bound is 0.0 s"), late::getMessage);
  }

  @Test
  void whoCannotHopeIsToldNotToComeBack() {
    Admission.Slots five = admission.admit(request(5, 1));
    for (int i = 0; i < 3; i++) {
      assertEquals("true", refused(1, 1).headers().get("x-should-retry"));
    }
    ApiError hopeless = refused(1, 1);
    assertEquals("false", hopeless.headers().get("x-should-retry"));
    assertTrue(Long.parseLong(hopeless.headers().get("retry-after-ms")) >= 100);
    five.close();
    admission.admit(request(5, 1));
    assertEquals("true", refused(1, 1).headers().get("x-should-retry"), "all of that is over");
  }
}
