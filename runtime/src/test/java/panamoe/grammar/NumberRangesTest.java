package panamoe.grammar;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.math.BigDecimal;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.TinyTokenizer;
import tools.jackson.databind.node.ObjectNode;

/** The numbers of a range are those that arithmetic finds in it. */
class NumberRangesTest {
  private static final String[] LOWS = {"minimum", "exclusiveMinimum"};
  private static final String[] HIGHS = {"maximum", "exclusiveMaximum"};

  @Test
  void integers() {
    Random random = new Random(1);
    for (int round = 0; round < 100; round++) {
      BigDecimal low = BigDecimal.valueOf(random.nextInt(-2500, 2500), random.nextInt(3));
      BigDecimal high = low.add(BigDecimal.valueOf(random.nextInt(1000), random.nextInt(2)));
      Range range = new Range("integer", low, high, random);
      for (int value = -2600; value <= 3600; value++) {
        range.check(Integer.toString(value));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3})
  void decimals(int places) {
    Random random = new Random(2);
    for (int round = 0; round < 60; round++) {
      BigDecimal low = BigDecimal.valueOf(random.nextInt(-1500, 1500), places);
      BigDecimal high = low.add(BigDecimal.valueOf(random.nextInt(300), random.nextInt(3)));
      Range range = new Range("number", low, high, random);
      for (int i = 0; i < 150; i++) {
        BigDecimal near = BigDecimal.valueOf(random.nextInt(-20, 320), random.nextInt(4));
        range.check(low.add(near).toPlainString());
      }
      range.check(low.toPlainString());
      range.check(high.toPlainString());
      range.check(low + (low.scale() > 0 ? "000" : ".000"));
      range.check(low + (low.scale() > 0 ? "001" : ".001"));
    }
  }

  @Test
  void oneBoundAlone() {
    for (String keyword : new String[] {LOWS[0], LOWS[1], HIGHS[0], HIGHS[1]}) {
      boolean low = keyword.contains("inimum");
      Range range = new Range("number", keyword, BigDecimal.valueOf(-25, 1), low);
      for (String value : "-2.5 -2.4 -2.6 -2.50 0 0.0 7 -7 999999999999999999 -99999".split(" ")) {
        range.check(value);
      }
    }
  }

  private static final class Range {
    private final ObjectNode schema = TinyTokenizer.MAPPER.createObjectNode();
    private final JsonGrammar grammar;
    private BigDecimal low;
    private BigDecimal high;
    private boolean lowOpen;
    private boolean highOpen;

    Range(String type, BigDecimal low, BigDecimal high, Random random) {
      this.low = low;
      this.high = high;
      lowOpen = random.nextBoolean();
      highOpen = random.nextBoolean();
      schema.put("type", type).put(LOWS[lowOpen ? 1 : 0], low).put(HIGHS[highOpen ? 1 : 0], high);
      JsonGrammar made = null;
      try {
        made = JsonGrammar.of(schema);
      } catch (IllegalArgumentException e) {
        assertEquals("the schema at # allows no text that comes to an end", e.getMessage());
      }
      grammar = made;
    }

    Range(String type, String keyword, BigDecimal bound, boolean isLow) {
      low = isLow ? bound : null;
      high = isLow ? null : bound;
      lowOpen = keyword.startsWith("exclusive");
      highOpen = lowOpen;
      grammar = JsonGrammar.of(schema.put("type", type).put(keyword, bound));
    }

    void check(String text) {
      BigDecimal value = new BigDecimal(text);
      int toLow = low == null ? 1 : value.compareTo(low);
      int toHigh = high == null ? -1 : value.compareTo(high);
      boolean inside = (lowOpen ? toLow > 0 : toLow >= 0) && (highOpen ? toHigh < 0 : toHigh <= 0);
      boolean accepted = grammar != null && grammar.accepts(text.getBytes(US_ASCII));
      // A range with bounds has no negative zero.
      boolean negativeZero = text.startsWith("-") && value.signum() == 0;
      assertEquals(inside && !negativeZero, accepted, () -> schema + " " + text);
    }
  }
}
