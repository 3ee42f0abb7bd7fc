package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.serve.completion.CompletionPrompts;
import panamoe.harness.serve.http.ApiKeys;
import tools.jackson.databind.JsonNode;

/** Requests that get an error; the server goes on after each. */
@Timeout(120)
class RefusalTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHAT = "/v1/chat/completions";
  private static final String RESPONSES = "/v1/responses";

  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new TestServer();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  @AfterEach
  void theServerGoesOn() throws Exception {
    assertEquals(
        "length",
        server
            .ask(COMPLETIONS, "{'prompt':'x','max_tokens':1,'ignore_eos':true}")
            .at("/choices/0/finish_reason")
            .stringValue());
    assertEquals(List.of(), server.log);
    server.awaitIdle();
  }

  private static JsonNode refused(int status, HttpResponse<String> answer) throws IOException {
    assertEquals(status, answer.statusCode(), answer::body);
    JsonNode error = TestServer.json(answer.body()).get("error");
    assertTrue(error.get("message").stringValue().length() > 5);
    assertTrue(error.get("type").isString() && error.has("param") && error.get("code").isString());
    return error;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      nullValues = "none",
      value = {
        "'prompt':'x','temperature':-1          | temperature     | temperature is -1.0, expected 0 to 100",
        "'prompt':'x','temperature':'hot'       | temperature     | is not a number",
        "'prompt':'x','temperature':1e999       | temperature     | is Infinity, expected 0 to 100",
        "'prompt':'x','top_p':0                 | top_p           | top_p is 0.0, expected more than 0",
        "'prompt':'x','min_p':2                 | min_p           | min_p is 2.0, expected 0 to 1",
        "'prompt':'x','repetition_penalty':0    | repetition_penalty | repetition_penalty is 0.0",
        "'prompt':'x','n':0                     | n               | is 0, expected 1 to 128",
        "'prompt':'x','n':1.5                   | n               | is not a whole number",
        "'prompt':'x','n':99999999999999999999  | n               | is 99999999999999999999, expected",
        "'prompt':'x','max_tokens':-1           | max_tokens      | is -1",
        "'prompt':'x','logprobs':21             | logprobs        | is 21, expected 0 to 20",
        "'prompt':'x','best_of':2               | best_of         | not supported",
        "'prompt':'x','best_of':true            | best_of         | except as 1",
        "'prompt':'x','suffix':'y'              | suffix          | not supported",
        "'prompt':'x','echo':1                  | echo            | is not true or false",
        "'prompt':'x','temprature':1            | temprature      | there is no field temprature",
        "'prompt':'x','seed':'7'                | seed            | not a whole number",
        "'prompt':'x','stop':5                  | stop            | is not a string",
        "'prompt':'x','stop':''                 | stop            | has an empty string",
        "'prompt':'x','stop_token_ids':[61]     | stop_token_ids  | token 61",
        "'prompt':'x','logit_bias':{'61':1}     | logit_bias      | token 61",
        "'prompt':'x','logit_bias':[1]          | logit_bias      | is not an object",
        "'prompt':'x','logit_bias':{'a':1}      | logit_bias      | a key that is no token: 'a'",
        "'prompt':'x','logit_bias':{'1':101}    | logit_bias.1    | is 101.0, expected -100 to 100",
        "'prompt':'x','logit_bias':{'1':'x'}    | logit_bias.1    | is not a number",
        "'prompt':'x','stream_options':{}       | stream_options  | for streams only",
        "'prompt':'x','timeout_ms':0            | timeout_ms      | is 0, expected 1",
        "'prompt':'x','response_format':{'type':'json_object'} | response_format | no token for the byte",
        "'prompt':'x','response_format':{'type':'json_schema','json_schema':{'schema':{'type':'number','minimum':1e400}}} | response_format | at # has a number beyond",
        "'prompt':'x','response_format':{'type':'json_schema','json_schema':{'schema':{'pattern':'((a{1,1000}){1,1000}){1,1000}'}}} | response_format | a repetition of more than 1000000 characters",
        "'prompt':'x','response_format':{'type':'xml'} | response_format.type | is none of text",
        "'prompt':'x','tools':[{'type':'function'}] | tools       | tools belong to chat",
        "'prompt':'x','presence_penalty':101    | presence_penalty | presence_penalty is 101.0",
        "'prompt':'x','cache_salt':1            | cache_salt      | is not a string",
        "'max_tokens':1                         | prompt          | is missing",
        "'prompt':[]                            | prompt          | is not a string",
        "'prompt':[[]]                          | prompt          | is not a string",
        "'prompt':{}                            | prompt          | is not a string",
        "'prompt':[61]                          | prompt          | token 61",
        "'prompt':[-1]                          | prompt          | element 0",
        "'prompt':['x',1]                       | prompt          | is not a string",
        "'prompt':[1,'x']                       | prompt          | element 1",
        "'prompt':'x','model':5                 | model           | is not a string",
      })
  void aWrongCompletion(String fields, String param, String message) throws Exception {
    requireRefused(server.post(COMPLETIONS, "{" + fields + "}"), param, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "                                       | input           | is missing",
        "'input':5                              | input           | is not a string",
        "'input':[]                             | input           | is not a string",
        "'input':''                             | input           | has an empty text",
        "'input':['a','']                       | input           | has an empty text",
        "'input':[[1],[61]]                     | input           | token 61",
        "'input':'x','dimensions':0             | dimensions      | is 0, expected 1 to 61",
        "'input':'x','dimensions':62            | dimensions      | is 62, expected 1 to 61",
        "'input':'x','encoding_format':'int8'   | encoding_format | is not float or base64",
        "'input':'x','prompt_name':'document'   | prompt_name     | the model has no prompt named document, but query",
        "'input':'x','echo':true                | echo            | there is no field",
      })
  void aWrongEmbedding(String fields, String param, String message) throws Exception {
    String body = "{" + (fields == null ? "" : fields) + "}";
    requireRefused(server.post("/v1/embeddings", body), param, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'documents':['a']                      | query     | is missing or empty",
        "'query':'','documents':['a']           | query     | is missing or empty",
        "'query':'q'                            | documents | is missing",
        "'query':'q','documents':[]             | documents | is not an array of texts",
        "'query':'q','documents':'a'            | documents | is not an array of texts",
        "'query':'q','documents':['a',{'t':1}]  | documents | has at 1 no text",
        "'query':'q','documents':['']           | documents | has at 0 no text",
        "'query':'q','documents':['a'],'top_n':0 | top_n     | is 0, expected 1",
        "'query':'q','documents':['a'],'rank_fields':['a'] | rank_fields | there is no field",
      })
  void aWrongReranking(String fields, String param, String message) throws Exception {
    requireRefused(server.post("/v1/rerank", "{" + fields + "}"), param, message);
  }

  @Test
  void textsThatAreTooLongOrTooMany() throws Exception {
    String many = "['a'" + ",'a'".repeat(CompletionPrompts.MOST) + "]";
    for (String path : List.of(COMPLETIONS, "/v1/embeddings", "/v1/rerank")) {
      String name =
          path.equals(COMPLETIONS) ? "prompt" : path.endsWith("s") ? "input" : "documents";
      String query = name.equals("documents") ? "'query':'q'," : "";
      requireRefused(
          server.post(path, "{" + query + "'" + name + "':" + many + "}"),
          name,
          "has more than 2048 texts");
      String long1 = "['ok','" + "x".repeat(401) + "']";
      JsonNode error =
          refused(400, server.post(path, "{" + query + "'" + name + "':" + long1 + "}"));
      assertEquals("context_length_exceeded", error.get("code").stringValue());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'max_tokens':1                                        | messages            | is missing",
        "'messages':[]                                         | messages            | array",
        "'messages':'hi'                                       | messages            | array",
        "'messages':[5]                                        | messages[0]         | not an object",
        "'messages':[{'role':'user'}]                          | messages[0].content | is missing",
        "'messages':[{'role':'function','content':'x'}]        | messages[0].role    | is none of",
        "'messages':[{'role':'tool','content':'x'}]            | messages[0].tool_call_id | not the id",
        "'messages':[{'role':'user','content':'x','tool_calls':[{}]}] | messages[0].tool_calls | not supported",
        "'messages':[{'role':'assistant','tool_calls':5}]      | messages[0].tool_calls | not an array",
        "'messages':[{'role':'assistant','tool_calls':[{'id':'a'}]}] | messages[0].tool_calls[0].function | is missing",
        "'messages':[{'role':'assistant','tool_calls':[{'id':'a','type':'code'}]}] | messages[0].tool_calls[0].type | is not function",
        "'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':'{}'}}]}] | messages[0].tool_calls[0].id | is missing",
        "'messages':[{'role':'assistant','tool_calls':[{'id':'a','function':{'arguments':'{}'}}]}] | messages[0].tool_calls[0].function.name | is missing",
        "'messages':[{'role':'assistant','tool_calls':[{'id':'a','function':{'name':'f','arguments':'[]'}}]}] | messages[0].tool_calls[0].function.arguments | JSON object",
        "'messages':[{'role':'assistant','content':null,'tool_calls':[]}] | messages[0].content | is null",
        "'messages':[{'role':'user','content':5}]              | messages[0].content | not a string",
        "'messages':[{'role':'user','content':'x','name':'a'}] | messages[0].name    | not supported",
        "'messages':[{'role':'user','content':'x','a':1}]      | messages[0].a       | no field",
      })
  void aWrongConversation(String fields, String param, String message) throws Exception {
    requireRefused(server.post(CHAT, "{" + fields + "}"), param, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'top_logprobs':2                       | top_logprobs         | logprobs to be true",
        "'logprobs':1                           | logprobs             | true or false",
        "'audio':{'voice':'x'}                  | audio                | not supported",
        "'modalities':['audio']                 | modalities           | not supported",
        "'modalities':['text','audio']          | modalities           | except as",
        "'functions':[{}]                       | functions            | not supported",
        "'reasoning_effort':'lots'              | reasoning_effort     | is not one of none, minimal, low, medium, high, xhigh, max",
        "'chat_template_kwargs':{'a':1}         | chat_template_kwargs | not supported",
        "'max_tokens':1,'max_completion_tokens':2 | max_tokens         | is 1, but max_completion_tokens is 2: give one",
        "'tool_choice':'required'               | tool_choice          | tools are missing",
        "'tool_choice':'any'                    | tool_choice          | is not none, auto",
        "'tool_choice':{'type':'function','function':{'name':'f'}} | tool_choice | not in tools",
        "'tool_choice':{'type':'allowed_tools'} | tool_choice.type     | is allowed_tools, expected function",
        "'tools':{}                             | tools                | not an array",
        "'tools':[{'type':'custom'}]            | tools[0].type        | is custom, expected function",
        "'tools':[{'type':'function'}]          | tools[0].function    | is missing",
        "'tools':[{'type':'function','function':{'name':'a b'}}] | tools[0].function.name | is not 1 to 64",
        "'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'array'}}}] | tools[0].function.parameters | type object",
        "'tools':[{'type':'function','function':{'name':'f','x':1}}] | tools[0].function.x | no field",
        "'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'object','not':{}}}}] | tools | function f: the schema's",
        "'tools':[{'type':'function','function':{'name':'f'}}] | tools | no token for the byte",
        "'parallel_tool_calls':1                | parallel_tool_calls  | true or false",
        "'response_format':{'type':'json_schema','json_schema':{}} | response_format.json_schema.schema | is missing",
        "'response_format':{'type':'json_schema','json_schema':{'schema':{'not':{}}}} | response_format | not",
        "'echo':true                            | echo                 | no field",
      })
  void aWrongChat(String fields, String param, String message) throws Exception {
    String body = "{'messages':[{'role':'user','content':'x'}]," + fields + "}";
    requireRefused(server.post(CHAT, body), param, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'max_output_tokens':2             | input                  | is missing",
        "'input':[]                        | input                  | is not a string or an array",
        "'input':[5]                       | input[0]               | is not an object",
        "'input':'x','background':true     | background             | except as false",
        "'input':'x','prompt':{'id':'p'}   | prompt                 | not supported",
        "'input':'x','conversation':'c'    | conversation           | not supported",
        "'input':'x','n':2                 | n                      | except as 1",
        "'input':'x','messages':[{}]       | messages               | not supported",
        "'input':'x','max_tokens':5        | max_tokens             | there is no field",
        "'input':'x','max_output_tokens':-1 | max_output_tokens     | is -1, expected 0",
        "'input':'x','response_format':{'type':'text'} | response_format | not supported",
        "'input':'x','reasoning_effort':'low' | reasoning_effort    | not supported",
        "'input':'x','reasoning':{'effort':'much'} | reasoning.effort | is not one of none",
        "'input':'x','reasoning':{'summary':'no'} | reasoning.summary | none of auto",
        "'input':'x','reasoning':{'x':1}   | reasoning.x            | there is no field",
        "'input':'x','text':{'format':{'type':'xml'}} | text.format.type | none of text",
        "'input':'x','text':{'format':{'type':'json_schema','schema':{'not':{}}}} | text.format | not",
        "'input':'x','text':{'format':{'type':'json_schema','name':'n'}} | text.format.schema | is missing",
        "'input':'x','truncation':'some'   | truncation             | is not auto or disabled",
        "'input':'x','store':1             | store                  | not true or false",
        "'input':'x','metadata':{'a':1}    | metadata.a             | is not a string",
        "'input':'x','include':['x']       | include                | has x",
        "'input':'x','top_logprobs':21     | top_logprobs           | is 21, expected 0 to 20",
        "'input':'x','tools':[{'type':'web_search'}] | tools[0].type | is web_search, expected function",
        "'input':'x','tools':[{'type':'mcp','name':'m'}] | tools[0].type | is mcp, expected function",
        "'input':'x','tools':[{'type':'function','name':'a b'}] | tools[0].name | 1 to 64",
        "'input':'x','tool_choice':{'type':'function','name':'f'} | tool_choice | not in tools",
        "'input':'x','echo':true           | echo                   | no field",
        "'input':[{'role':'tool','content':'x'}] | input[0].role    | is not system",
        "'input':[{'role':'user'}]         | input[0].content       | is missing",
        "'input':[{'role':'user','content':[{'type':'input_image','image_url':'u'}]}] | input[0].content[0].type | is input_image, expected input_text",
        "'input':[{'role':'user','content':[{'type':'input_audio'}]}] | input[0].content[0].type | is input_audio",
        "'input':[{'role':'user','content':[{'type':'input_file'}]}] | input[0].content[0].type | is input_file",
        "'input':[{'type':'web_search_call','id':'w'}] | input[0].type | is web_search_call, expected message",
        "'input':[{'type':'reasoning','id':'r','summary':[]}] | input[0].type | no chat template",
        "'input':[{'type':'function_call','call_id':'c','name':'f','arguments':'[]'}] | input[0].arguments | JSON object",
        "'input':[{'type':'function_call','call_id':'c','name':'f','arguments':'{}'}] | input | no function_call_output of the call c",
        "'input':[{'type':'function_call_output','call_id':'c','output':'1'}] | input[0].call_id | function_call before it",
        "'input':[{'type':'function_call_output','call_id':'c','output':'1'},{'type':'function_call','call_id':'c','name':'f','arguments':'{}'}] | input[0].call_id | function_call before it",
        "'input':[{'type':'function_call','call_id':'c','name':'f','arguments':'{}'},{'type':'function_call_output','call_id':'c','output':'1'},{'type':'function_call_output','call_id':'c','output':'2'}] | input[2].call_id | earlier function_call_output",
      })
  void aWrongResponse(String fields, String param, String message) throws Exception {
    requireRefused(server.post(RESPONSES, "{" + fields + "}"), param, message);
  }

  @Test
  void responsesThatAreNotThere() throws Exception {
    String none = "resp_" + "0".repeat(32);
    for (HttpResponse<String> answer :
        List.of(
            server.post(RESPONSES, "{'input':'x','previous_response_id':'" + none + "'}"),
            server.post(RESPONSES, "{'input':[{'type':'item_reference','id':'msg_0_1'}]}"),
            server.get(RESPONSES + "/" + none),
            server.get(RESPONSES + "/" + none + "/input_items"),
            server.post(RESPONSES + "/" + none + "/cancel", "{}"))) {
      assertEquals("response_not_found", refused(404, answer).get("code").stringValue());
    }
    String id =
        server
            .ask(RESPONSES, "{'input':'x','max_output_tokens':1,'background':false}")
            .get("id")
            .stringValue();
    String path = RESPONSES + "/" + id;
    requireRefused(
        server.get(path + "/input_items?order=foo"), "order", "order is foo, expected asc or desc");
    JsonNode nameless = refused(404, server.get(RESPONSES + "/"));
    assertEquals("the response's id is empty", nameless.get("message").stringValue());
    JsonNode cancel = refused(400, server.post(path + "/cancel", "{}"));
    assertTrue(cancel.get("message").stringValue().contains("background"));
    refused(400, server.get(path + "?stream=true"));
    refused(404, server.get(path + "/output"));
    HttpResponse<String> method = server.post(path, "{}");
    refused(405, method);
    assertEquals("GET, DELETE", method.headers().firstValue("Allow").orElse(""));
  }

  private static void requireRefused(HttpResponse<String> answer, String param, String message)
      throws IOException {
    JsonNode error = refused(400, answer);
    assertEquals(param, error.get("param").stringValue(), answer::body);
    assertTrue(error.get("message").stringValue().contains(message), answer::body);
    assertEquals("invalid_request_error", error.get("type").stringValue());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "null",
        "[]",
        "5",
        "{",
        "{'prompt':'x'} {}",
        "{'prompt':'x','prompt':'y'}",
        "{'prompt':'\\ud800\\q'}",
        "{'prompt':NaN}",
        "{prompt:'x'}",
        "{'prompt':'x',}",
        "{'n':1111111111111111111111111111111111111111111111111111111111111111}",
        "{'temperature':1e99999999999}",
        "\u0000",
        "{'prompt':'\u0001'}"
      })
  void whatIsNoObject(String body) throws Exception {
    for (String path :
        List.of(
            COMPLETIONS,
            CHAT,
            RESPONSES,
            "/v1/embeddings",
            "/v1/rerank",
            "/tokenize",
            "/detokenize",
            "/apply-template")) {
      refused(400, server.post(path, body));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{                          | it ends too early (line 1, column 2)",
        "{'a':1}{}                  | something follows its end (line 1, column 8)",
        "{'a':1,'a':2}              | a key is there twice: 'a' (line 1, column 11)",
        "{'a':NaN}                  | NaN is no number in JSON (line 1, column 9)",
        "{'a':yes}                  | 'yes' is no value in JSON (line 1, column 6)",
        "{a:1}                      | 'a' is not expected here (line 1, column 2)",
        "{'a':1,}                   | '}' is not expected here (line 1, column 8)",
        "{'a':[1}                   | } closes what is not open (line 1, column 8)",
        "{'a':01}                   | a number begins with 0 (line 1, column 7)",
        "{'a':'\\q'}               | a string has a backslash before",
        "{'a':'\u0001'}             | a string has a control character",
        "{'a':11111111111111111111111111111111111111111} | a number has more digits than 40",
        "{'a':[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ | it is nested deeper than 64",
      })
  void whatIsNoJson(String body, String why) throws Exception {
    JsonNode error = refused(400, server.post(COMPLETIONS, body));
    String message = error.get("message").stringValue();
    assertTrue(message.startsWith("the body is not JSON: "), message);
    assertTrue(message.contains(why) && message.matches(".* \\(line 1, column \\d+\\)"), message);
  }

  @Test
  void headAsksAsGetDoes() throws Exception {
    for (String path :
        List.of("/", "/health", "/metrics", "/v1/models", "/v2", CHAT, RESPONSES + "/resp_1")) {
      HttpResponse<String> head = server.send(server.to(path).HEAD().build());
      assertEquals(server.get(path).statusCode(), head.statusCode(), path);
      assertEquals("", head.body());
      assertTrue(head.headers().firstValueAsLong("Content-Length").orElse(0) > 0, path);
    }
  }

  @Test
  void deepAndBroadAndNotUtf8() throws Exception {
    refused(400, server.post(COMPLETIONS, "{'prompt':" + "[".repeat(100_000)));
    refused(400, server.post(COMPLETIONS, "{'prompt':" + "{'a':".repeat(1000)));
    refused(400, server.post(COMPLETIONS, "{'x':[" + "0,".repeat(500_000) + "0]}"));
    for (byte[] bytes :
        List.of(
            new byte[] {'{', '"', (byte) 0xff, '"', ':', '1', '}'},
            "{\"prompt\":\"x\"}".getBytes(StandardCharsets.UTF_16))) {
      refused(
          400, server.send(server.to(COMPLETIONS).POST(BodyPublishers.ofByteArray(bytes)).build()));
    }
  }

  /** Whatever the bytes are, the response is 200 or 400. */
  @Test
  void changedBytes() throws Exception {
    Random random = new Random(1);
    byte[] good =
        TestServer.quoted(
                "{'prompt':['x',[1,2]],'max_tokens':1,'stop':['a'],'logit_bias':{'1':2},'n':1}")
            .getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 400; i++) {
      byte[] bytes = good.clone();
      for (int change = random.nextInt(3); change >= 0; change--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
      int status =
          server
              .send(server.to(COMPLETIONS).POST(BodyPublishers.ofByteArray(bytes)).build())
              .statusCode();
      assertTrue(status == 200 || status == 400, () -> new String(bytes, StandardCharsets.UTF_8));
    }
  }

  @Test
  void tooLarge() throws Exception {
    refused(413, server.post(COMPLETIONS, "{'prompt':'" + "x".repeat(1 << 20) + "'}"));
    JsonNode error = refused(400, server.post(COMPLETIONS, "{'prompt':'" + "x".repeat(401) + "'}"));
    assertEquals("context_length_exceeded", error.get("code").stringValue());
  }

  @Test
  void wrongPathsMethodsAndModels() throws Exception {
    assertEquals("not_found", refused(404, server.get("/v2")).get("code").stringValue());
    assertEquals("not_found", refused(404, server.post("/v2", "{}")).get("code").stringValue());
    HttpResponse<String> method = server.get(CHAT);
    assertEquals("method_not_allowed", refused(405, method).get("code").stringValue());
    assertEquals("POST", method.headers().firstValue("Allow").orElse(""));
    HttpResponse<String> posted = server.post("/health", "{}");
    assertEquals("GET, HEAD", posted.headers().firstValue("Allow").orElse(""));
    for (String path :
        List.of(
            COMPLETIONS,
            RESPONSES,
            "/v1/embeddings",
            "/v1/rerank",
            "/tokenize",
            "/detokenize",
            "/apply-template")) {
      JsonNode error = refused(404, server.post(path, "{'model':'gpt','prompt':'x'}"));
      assertEquals("model_not_found", error.get("code").stringValue());
      assertEquals("model", error.get("param").stringValue());
    }
    for (HttpResponse<String> nameless :
        List.of(server.get("/v1/models/"), server.post(COMPLETIONS, "{'model':'','prompt':'x'}"))) {
      assertEquals(
          "the model's name is empty; this server has hash",
          refused(404, nameless).get("message").stringValue());
    }
    requireRefused(
        server.post("/tokenize", "{}"), "prompt", "prompt is missing, and so are the messages");
    refused(400, server.post("/detokenize", "{'tokens':[61]}"));
    refused(400, server.post("/detokenize", "{}"));
    refused(400, server.post("/tokenize", "{'prompt':'x','b':1}"));
  }

  @Test
  void aTextThatFailsIsAnErrorOfItsRequestAlone() throws Exception {
    JsonNode error = refused(500, server.post(COMPLETIONS, "{'prompt':'a~'}"));
    assertTrue(error.get("message").stringValue().contains("not finite"), error::toString);
    assertEquals("server_error", error.get("type").stringValue());
    refused(500, server.post(COMPLETIONS, "{'prompt':['good','a~'],'n':3}"));
  }

  @Test
  void aDeadlineBeforeTheFirstToken() throws Exception {
    try (TestServer slow =
        new TestServer(TestServer.LIMITS, ApiKeys.NONE, () -> TestServer.pause(100))) {
      JsonNode error =
          refused(
              504,
              slow.post(COMPLETIONS, "{'prompt':'" + "x".repeat(200) + "','timeout_ms':1,'n':3}"));
      assertEquals("timeout", error.get("code").stringValue());
      JsonNode cut =
          slow.ask(
              COMPLETIONS, "{'prompt':'x','timeout_ms':400,'max_tokens':300,'ignore_eos':true}");
      assertEquals("length", cut.at("/choices/0/finish_reason").stringValue());
      assertEquals("deadline", cut.at("/choices/0/panamoe/finish").stringValue());
      assertTrue(cut.at("/usage/completion_tokens").intValue() > 0);
    }
  }

  @Test
  void keys(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("keys"), "# who\nfirst\n\n second \n");
    try (TestServer locked = new TestServer(TestServer.LIMITS, ApiKeys.read(file), () -> {})) {
      for (String path : List.of("/v1/models", "/metrics", "/none")) {
        assertEquals("invalid_api_key", refused(401, locked.get(path)).get("code").stringValue());
        for (String wrong : List.of("Bearer third", "Bearer ", "first", "Basic first", "Bearer")) {
          refused(401, locked.send(locked.to(path).header("Authorization", wrong).build()));
        }
      }
      for (String right : List.of("Bearer first", "bearer second")) {
        assertEquals(
            200,
            locked
                .send(locked.to("/v1/models").header("Authorization", right).build())
                .statusCode());
      }
      assertEquals(200, locked.get("/health").statusCode());
      assertEquals(200, locked.get("/livez").statusCode());
    }
  }

  @Test
  void pagesOfOtherSitesNeedAKey() throws Exception {
    try (TestServer server = new TestServer();
        HttpClient client = HttpClient.newHttpClient()) {
      String own = "http://127.0.0.1:" + server.server.port();
      for (String[] origin :
          new String[][] {{"http://evil.example", "403"}, {"null", "403"}, {own, "200"}}) {
        HttpRequest request = server.to("/v1/models").header("Origin", origin[0]).build();
        HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
        assertEquals(origin[1], Integer.toString(answer.statusCode()), answer.body());
      }
    }
  }
}
