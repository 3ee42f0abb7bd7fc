package panamoe.lab.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RequestMixTest {
  private static final int DRAWS = 2000;

  private static List<RequestMix.Asked> drawn(double shared, long seed) {
    RequestMix mix = new RequestMix(new RequestMix.Shape(64, 32, shared), 2, seed);
    List<RequestMix.Asked> all = new ArrayList<>();
    for (int i = 0; i < DRAWS; i++) {
      all.add(mix.next());
    }
    return all;
  }

  @Test
  void lengthsFillTheirRange() {
    int shortest = Integer.MAX_VALUE;
    int longest = 0;
    for (RequestMix.Asked asked : drawn(0, 1)) {
      assertTrue(asked.tokens() >= 4 && asked.tokens() <= 32, asked::toString);
      shortest = Math.min(shortest, asked.prompt().length());
      longest = Math.max(longest, asked.prompt().length());
    }
    assertEquals(2 * 4, shortest);
    assertEquals(2 * 64, longest);
  }

  @Test
  void aSeedGivesTheSameRequests() {
    assertEquals(drawn(0.5, 7), drawn(0.5, 7));
    assertTrue(!drawn(0.5, 7).equals(drawn(0.5, 8)));
  }

  @Test
  void aPartOfTheLongPromptsBeginsAlike() {
    Map<String, Integer> beginnings = new HashMap<>();
    int longer = 0;
    for (RequestMix.Asked asked : drawn(0.5, 1)) {
      if (asked.prompt().length() > 64) {
        longer++;
        beginnings.merge(asked.prompt().substring(0, 64), 1, Integer::sum);
      }
    }
    int shared = beginnings.values().stream().filter(times -> times > 10).mapToInt(i -> i).sum();
    assertEquals(0.5, (double) shared / longer, 0.1);
    assertEquals(4, beginnings.values().stream().filter(times -> times > 10).count());
  }

  @Test
  void refusesWhatCannotBeDrawn() {
    assertThrows(IllegalArgumentException.class, () -> new RequestMix.Shape(0, 1, 0));
    assertThrows(IllegalArgumentException.class, () -> new RequestMix.Shape(1, 1, Double.NaN));
  }
}
