package panamoe.conversation.template;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Duration;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.testkit.CpuTime;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * A template can neither run for ever nor fill the memory or the stack, and says where it failed.
 */
class BoundsTest {
  private static final String STEPS = "the template takes more than 10 million steps";
  private static final String LONG = "the text grows beyond 16 Mi characters";
  private static final String DEEP = "more than 500 parts lie within each other";
  private static final String NESTED = "more than 100 parts lie within each other";

  private static String render(String template) {
    return ChatTemplate.of(template, "t", Map.of())
        .render(JsonNodeFactory.instance.objectNode())
        .text();
  }

  static Stream<Arguments> hostile() {
    String list = "{% set ns = namespace(x=[]) %}{% for i in range(200) %}{% set ns.x = [ns.x] %}";
    String two =
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}";
    return Stream.of(
        Arguments.of(
            "\n{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            2, STEPS),
        Arguments.of("{% for i in range(99999) %}{% set x = range(99999) %}{% endfor %}", 1, STEPS),
        Arguments.of(
            "{{ range(100001) }}", 1, "a range has more than 100000 numbers, or huge ones"),
        Arguments.of(
            "{{ 1" + "_1".repeat(100_000) + " }}",
            1,
            "the number '" + "1".repeat(40) + "...' is beyond 64 bits"),
        Arguments.of("{{ 1__0 }}", 1, "a number has two _ in a row"),
        Arguments.of("{{ 'a' * 999999999 }}", 1, LONG),
        Arguments.of("{{ 'ab' * 9223372036854775807 }}", 1, LONG),
        Arguments.of("{{ [1] * 999999999 }}", 1, "the list grows beyond 10 million elements"),
        Arguments.of(
            "{% set ns = namespace(x='ab') %}{% for i in range(99) %}\n{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
            2, LONG),
        Arguments.of("{% for i in range(99) %}{{ 'a' * 999999 }}{% endfor %}", 1, LONG),
        Arguments.of("{{ [[[1]]]|tojson(indent='ab' * 8000000) }}", 1, LONG),
        Arguments.of("{{ ['\\x01' * 8000000] }}", 1, LONG),
        Arguments.of("{{ '%99999s' % 1 }}", 1, "the format has an unsupported field %9999"),
        Arguments.of("{{ 'x'|indent(999999999) ~ 'x'|center(999999999) }}", 1, LONG),
        Arguments.of("{% set a = 'a' * 8000000 %}{{ (a ~ 'b') in (a ~ a) }}", 1, STEPS),
        Arguments.of("{% set a = 'a ' * 8000000 %}{{ a.split() }}", 1, STEPS),
        Arguments.of(
            "{% set a = 'a' * 16000000 %}{% for i in range(99999) %}{{ a.isspace() }}{% endfor %}",
            1, STEPS),
        Arguments.of(
            "{% set a = 'a' * 8000000 %}{% set b = a ~ 1 %}{% set c = a ~ 2 %}"
                + "{% for i in range(99999) %}{{ b == c }}{{ b < c }}{{ a is lower }}{% endfor %}",
            1, STEPS),
        Arguments.of(
            "{% set a = 'a' * 16000000 %}{% for i in range(99999) %}{{ a[0] ~ a[:2] }}{% endfor %}",
            1, STEPS),
        Arguments.of(
            "{% set a = ['a' * 9000000] %}{% for i in range(99999) %}{{ a|truncate(9) }}{% endfor %}",
            1, STEPS),
        Arguments.of(
            "{% macro m() %}{{ m() }}{% endmacro %}\n{{ m() }}",
            1, "more than 100 macros call each other"),
        Arguments.of("{{ " + "1 + ".repeat(2000) + "1 }}", 1, DEEP),
        Arguments.of("{{ x" + "|trim".repeat(2000) + " }}", 1, DEEP),
        Arguments.of("{{ " + "(".repeat(200) + "1" + ")".repeat(200) + " }}", 1, NESTED),
        Arguments.of("{{ " + "[".repeat(200) + "]".repeat(200) + " }}", 1, NESTED),
        Arguments.of("{{ " + "not ".repeat(9999) + "1 }}", 1, NESTED),
        Arguments.of("{{ " + "-".repeat(9999) + "1 }}", 1, NESTED),
        Arguments.of("{% if 1 %}\n".repeat(200), 99, NESTED),
        Arguments.of(
            list + "{% endfor %}{{ ns.x }}", 1, "the value is nested too deep to print it"),
        Arguments.of(
            list + "{% endfor %}{{ ns.x|tojson }}", 1, "the value is nested too deep for JSON"),
        Arguments.of(
            list + "{% set y = [ns.x] %}{% endfor %}{{ ns.x == y[0] }}{{ [ns.x] == [ns.x] }}",
            1,
            "the values are nested too deep to compare them"),
        Arguments.of(two + "{% endfor %}{{ ns.x }}", 1, LONG),
        Arguments.of(two + "{% endfor %}{{ ns.x == ns.x }}", 1, STEPS));
  }

  @ParameterizedTest
  @MethodSource("hostile")
  void isRefusedWithItsLine(String template, int line, String message) {
    TemplateException e = assertThrows(TemplateException.class, () -> render(template));
    assertEquals("line " + line + ": " + message, e.getMessage());
    assertEquals(line, e.line());
  }

  /** 2^36 characters would be looked at, if each tag sought the beginning of its line. */
  @Test
  void readingTakesLinearTime() {
    String template = "{% if 0 %}" + "{%elif 0%}".repeat(104_800) + "{% endif %}";
    assertEquals("", CpuTime.assertWithin(Duration.ofSeconds(5), () -> render(template)));
  }

  @Test
  void aTemplateThatIsTooLongIsRefusedWithTheLimit() {
    TemplateException e =
        assertThrows(TemplateException.class, () -> render("a".repeat((1 << 20) + 1)));
    assertEquals(
        "the template has 1048577 characters, but at most 1048576 are read", e.getMessage());
  }

  /** 2^46 comparisons, if each character were sought among the others. */
  @Test
  @Timeout(20)
  void strippingManyCharactersTakesLinearTime() {
    assertEquals("", render("{% set a = 'a' * 8000000 %}{{ a.strip('b' * 8000000 ~ 'a') }}"));
  }

  @Test
  void theDeepestTemplateThatIsAllowedFitsOnASmallStack() throws InterruptedException {
    // 100 macros within each other, each call in as many parts as the bound of depth allows.
    String template =
        "{% macro m(n) %}{% if n %}{% if n %}{{ ((m(n - 1))) }}{% endif %}{% endif %}{% endmacro %}"
            + "{{ m(98) }}{{ "
            + "1 + ".repeat(490)
            + "1 }}";
    String[] text = new String[1];
    Thread thread = new Thread(null, () -> text[0] = render(template), "small", 768 << 10);
    thread.start();
    thread.join();
    assertEquals("491", text[0]);
  }

  @Test
  void aRefusalHasTheTemplatesOwnMessage() {
    TemplateException e =
        assertThrows(
            TemplateException.class,
            () ->
                render("{% macro m() %}{{ raise_exception('only ' ~ 1) }}{% endmacro %}{{ m() }}"));
    assertEquals("only 1", e.getMessage());
    assertEquals(true, e.isRefusal());
  }
}
