package panamoe.harness.serve.completion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.engine.schedule.HashEngine;
import panamoe.harness.serve.TestServer;
import tools.jackson.databind.JsonNode;

/** Completions that repeat their prompt, with its log probabilities. */
@Timeout(120)
class EchoTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String PROMPT = "a prompt of more than two blocks of sixteen";

  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new TestServer();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  private static JsonNode choice(String fields) throws Exception {
    return server.ask(COMPLETIONS, "{" + fields + "}").at("/choices/0");
  }

  private static List<JsonNode> list(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).toList();
  }

  /**
   * What lm-evaluation-harness sends as its model local-completions: it adds up the log
   * probabilities from the end of the context to the last but one, which is the sampled token, and
   * compares each with the largest of its alternatives. They have the bits of those that the
   * continuation was written with.
   */
  @Test
  void aContinuationIsScoredAsItWasWritten() throws Exception {
    JsonNode written =
        choice(
            "'prompt':'"
                + PROMPT
                + "','temperature':0,'max_tokens':20,'ignore_eos':true,'logprobs':1,'return_token_ids':true");
    List<JsonNode> context = list(written.get("prompt_token_ids"));
    List<JsonNode> all = new ArrayList<>(context);
    all.addAll(list(written.get("token_ids")));
    String other = context.subList(0, 30).toString();
    for (int time = 0; time < 2; time++) { // the second time the prompt is in the cache
      JsonNode scored =
          server.ask(
              COMPLETIONS,
              "{'model':'hash','prompt':["
                  + all
                  + ","
                  + other
                  + "],'temperature':0,'max_tokens':1,'logprobs':1,'seed':1234,'echo':true}");
      JsonNode told = scored.at("/choices/0/logprobs");
      assertEquals(all.size() + 1, told.get("tokens").size());
      assertTrue(told.at("/token_logprobs/0").isNull() && told.at("/top_logprobs/0").isNull());
      List<JsonNode> logprobs = list(told.get("token_logprobs"));
      List<JsonNode> top = list(told.get("top_logprobs"));
      assertEquals(
          list(written.at("/logprobs/token_logprobs")),
          logprobs.subList(context.size(), logprobs.size() - 1));
      for (int i = context.size(); i < logprobs.size() - 1; i++) {
        double most = list(top.get(i)).stream().mapToDouble(JsonNode::doubleValue).max().orElse(1);
        assertEquals(most, logprobs.get(i).doubleValue(), "it was written greedily");
      }
      List<JsonNode> second = list(scored.at("/choices/1/logprobs/token_logprobs"));
      assertEquals(31, second.size());
      assertEquals(logprobs.subList(0, 30), second.subList(0, 30));
      assertEquals(all.size() + 30, scored.at("/usage/prompt_tokens").intValue());
      assertEquals(2, scored.at("/usage/completion_tokens").intValue());
      assertEquals(0, scored.at("/usage/prompt_tokens_details/cached_tokens").intValue());
    }
  }

  /** A sampled end of text counts too, or the sum would lose the last token of the prompt. */
  @Test
  void theTokenThatEndsHasALogprob() throws Exception {
    String ends = "'logit_bias':{'" + HashEngine.END_OF_TEXT + "':100},'temperature':0,";
    String fields = ends + "'prompt':'" + PROMPT + "','max_tokens':5,'logprobs':1,'echo':true";
    JsonNode ended = choice(fields + ",'return_token_ids':true");
    assertEquals("stop", ended.get("finish_reason").stringValue());
    assertEquals(PROMPT, ended.get("text").stringValue());
    assertEquals(0, ended.get("token_ids").size());
    List<JsonNode> tokens = list(ended.at("/logprobs/tokens"));
    assertEquals(PROMPT.length() + 1, tokens.size());
    assertEquals("token_id:60", tokens.getLast().stringValue());
    assertEquals(PROMPT.length(), list(ended.at("/logprobs/text_offset")).getLast().intValue());
    assertTrue(list(ended.at("/logprobs/token_logprobs")).getLast().doubleValue() < 0);
    JsonNode streamed = streamed(fields);
    assertEquals(ended.get("logprobs").toString(), streamed.get("logprobs").toString());
  }

  /** The chunks of a stream, put together. */
  private static JsonNode streamed(String fields) throws Exception {
    HttpResponse<String> answer = server.post(COMPLETIONS, "{" + fields + ",'stream':true}");
    List<String> names = List.of("tokens", "token_logprobs", "top_logprobs", "text_offset");
    List<List<JsonNode>> lists =
        names.stream().map(_ -> (List<JsonNode>) new ArrayList<JsonNode>()).toList();
    StringBuilder text = new StringBuilder();
    for (String line : answer.body().split("\n\n")) {
      if (line.startsWith("data: {")) {
        JsonNode chunk = TestServer.json(line.substring(6)).at("/choices/0");
        text.append(chunk.get("text").stringValue());
        for (int i = 0; i < names.size(); i++) {
          lists.get(i).addAll(list(chunk.at("/logprobs/" + names.get(i))));
        }
      }
    }
    String logprobs =
        String.join(
            ",",
            IntStream.range(0, names.size())
                .mapToObj(i -> "'" + names.get(i) + "':" + lists.get(i))
                .toList());
    return TestServer.json(
        TestServer.quoted("{'logprobs':{" + logprobs.replace('"', '\'') + "}}")
            .replaceFirst("}$", ",\"text\":" + quoted(text.toString()) + "}"));
  }

  private static String quoted(String text) {
    return "\"" + text.replace("\n", "\\n") + "\"";
  }

  @Test
  void choicesAndStreamsBeginWithTheirPrompt() throws Exception {
    String settings = "'seed':3,'max_tokens':4,'ignore_eos':true,'logprobs':2,'n':3";
    JsonNode plain = server.ask(COMPLETIONS, "{'prompt':['ab','cde']," + settings + "}");
    JsonNode echoed =
        server.ask(COMPLETIONS, "{'prompt':['ab','cde'],'echo':true," + settings + "}");
    for (int i = 0; i < 6; i++) {
      String prompt = i < 3 ? "ab" : "cde";
      JsonNode expected = plain.get("choices").get(i);
      JsonNode found = echoed.get("choices").get(i);
      assertEquals(prompt + expected.get("text").stringValue(), found.get("text").stringValue());
      List<JsonNode> logprobs = list(found.at("/logprobs/token_logprobs"));
      assertEquals(prompt.length() + 4, logprobs.size());
      assertEquals(
          list(expected.at("/logprobs/token_logprobs")),
          logprobs.subList(prompt.length(), logprobs.size()));
      assertEquals(
          list(echoed.get("choices").get(i / 3 * 3).at("/logprobs/token_logprobs"))
              .subList(0, prompt.length()),
          logprobs.subList(0, prompt.length()));
      assertEquals(
          list(expected.at("/logprobs/text_offset")).stream()
              .map(offset -> offset.intValue() + prompt.length())
              .toList(),
          list(found.at("/logprobs/text_offset")).stream()
              .map(JsonNode::intValue)
              .toList()
              .subList(prompt.length(), logprobs.size()));
    }
    String one = "'prompt':'ab','seed':3,'max_tokens':6,'logprobs':2,'echo':true";
    JsonNode whole = choice(one);
    JsonNode stream = streamed(one);
    assertEquals(whole.get("text"), stream.get("text"));
    assertEquals(whole.get("logprobs").toString(), stream.get("logprobs").toString());
  }

  @Test
  void aPromptAloneIsRepeated() throws Exception {
    JsonNode text = choice("'prompt':'h\u00e9llo','echo':true,'max_tokens':0");
    assertEquals("h\u00e9llo", text.get("text").stringValue());
    assertTrue(text.get("logprobs").isNull());
    assertEquals("length", text.get("finish_reason").stringValue());
    JsonNode scored = choice("'prompt':'h\u00e9llo','echo':true,'max_tokens':0,'logprobs':0");
    assertEquals("[0,1,1,2,3,4]", scored.at("/logprobs/text_offset").toString());
    assertEquals(6, scored.at("/logprobs/token_logprobs").size());
    JsonNode one = choice("'prompt':[5],'echo':true,'max_tokens':0,'logprobs':1");
    assertEquals("[null]", one.at("/logprobs/token_logprobs").toString());
    assertEquals("[null]", one.at("/logprobs/top_logprobs").toString());
    HttpResponse<String> failed =
        server.post(COMPLETIONS, "{'prompt':'a~b','echo':true,'max_tokens':0,'logprobs':1}");
    assertEquals(500, failed.statusCode());
    assertTrue(failed.body().contains("not finite"), failed::body);
    server.awaitIdle();
  }
}
