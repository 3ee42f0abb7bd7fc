package panamoe.conversation.template;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.time.LocalDateTime;
import java.util.Map;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Small templates for every part of the language give what was recorded of Jinja2 3.1.6. */
class SnippetsTest {
  private static final LocalDateTime NOW = LocalDateTime.of(2026, 1, 2, 15, 4, 5);

  @Test
  void everySnippetGivesTheRecordedTextOrFails() throws IOException {
    JsonNode recorded;
    try (InputStream json = getClass().getResourceAsStream("/golden/templates/snippets.json")) {
      recorded = JsonMapper.shared().readTree(json);
    }
    ObjectNode variables = JsonMapper.shared().createObjectNode();
    variables.set("messages", recorded.path("messages"));
    int failures = 0;
    for (JsonNode one : recorded.path("cases")) {
      String template = one.path("template").stringValue();
      if (one.has("text")) {
        assertEquals(one.path("text").stringValue(), text(template, variables), template);
      } else {
        failures++;
        TemplateException e =
            assertThrows(TemplateException.class, () -> text(template, variables), template);
        assertTrue(e.getMessage().startsWith("line 1: "), e.getMessage());
        assertEquals(1, e.line());
      }
    }
    assertEquals(93, recorded.path("cases").size());
    assertEquals(18, failures);
  }

  private static String text(String template, ObjectNode variables) {
    return ChatTemplate.of(template, "t", Map.of()).at(NOW).render(variables).text();
  }
}
